// PyPI: the index (PEP 503 and PEP 691) tells sha256 of each file and of its metadata (PEP 658); the path of a file at
// files.pythonhosted.org is its BLAKE2b-256.

import { digestOf, type Told, type What } from '../what.ts';

const PAGE = /^(?:[\w.+-]+\/)*simple\/[\w.-]+\/?$/;
const HOSTED = /^packages\/([0-9a-f]{2})\/([0-9a-f]{2})\/([0-9a-f]{60})\/[\w.+!-]+$/;
const FILE = /^(?:[\w.+~-]+\/)*[\w.+!-]+\.(?:whl|tar\.gz|zip|tar\.bz2|metadata)$/;
const MAX_ANCHOR_CHARS = 4_000;

export function pypiIndex(rest: string): What | null {
  return PAGE.test(rest) ? { role: 'index', read } : null;
}

export function pypiFiles(rest: string): What | null {
  const [, first, second, third] = HOSTED.exec(rest) ?? [];
  if (first && !rest.endsWith('.metadata'))
    return { role: 'file', named: digestOf('blake2b256', `${first}${second}${third}`) };
  return FILE.test(rest) && !rest.includes('..') ? { role: 'file', named: null } : null;
}

function read(text: string): Told[] {
  return text.trimStart().startsWith('{') ? readJson(text) : readHtml(text);
}

interface JsonFile {
  url?: unknown;
  hashes?: Record<string, unknown>;
  'core-metadata'?: unknown;
  'dist-info-metadata'?: unknown;
}

function readJson(text: string): Told[] {
  const { files } = JSON.parse(text) as { files?: JsonFile[] };
  if (!Array.isArray(files)) return [];
  return files.flatMap((file) => {
    if (typeof file?.url !== 'string') return [];
    const metadata = file['core-metadata'] ?? file['dist-info-metadata'];
    return told(
      file.url,
      file.hashes?.['sha256'],
      typeof metadata === 'object' && metadata ? (metadata as Record<string, unknown>)['sha256'] : null,
    );
  });
}

function readHtml(text: string): Told[] {
  return text.split('<a ').flatMap((anchor) => {
    const attributes = anchor.slice(0, MAX_ANCHOR_CHARS);
    const [, url, hex] = /href="([^"#]+)#sha256=([0-9a-f]{64})"/.exec(attributes) ?? [];
    if (!url) return [];
    const metadata = /data-(?:core|dist-info)-metadata="sha256=([0-9a-f]{64})"/.exec(attributes)?.[1];
    return told(url.replaceAll('&amp;', '&'), hex, metadata);
  });
}

function told(url: string, hex: unknown, metadataHex: unknown): Told[] {
  const [digest, metadata] = [digestOf('sha256', hex), digestOf('sha256', metadataHex)];
  return [
    ...(digest ? [{ url, digest }] : []),
    ...(metadata ? [{ url: `${url}.metadata`, digest: metadata }] : []),
  ];
}
