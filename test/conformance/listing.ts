// A file system as lines that can be compared: kind, mode, owner, what it holds, path. Times count where they are those of
// the context; what was made in a build has whatever time it was.

import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { readTar } from '../../src/image/read-tar.ts';
import { type Node, Tree } from '../../src/image/tree.ts';
import { CONTEXT_TIME } from './cases.ts';

const DIGEST_CHARS = 16;

/** Of tars, the lowest first. Without the root itself. */
export async function listTars(files: readonly string[]): Promise<string[]> {
  const tree = new Tree();
  for (const file of files) tree.apply(await readTar(file));
  const handles = files.map((file) => openSync(file, 'r'));
  try {
    const first = new Map<Node, string>();
    const lines: string[] = [];
    const descend = (folder: Node, at: string): void => {
      for (const [name, node] of [...folder.children].sort(([a], [b]) => (a < b ? -1 : 1))) {
        const path = `${at}/${Buffer.from(name, 'latin1').toString('utf8')}`;
        const known = node.kind === 'file' ? first.get(node) : undefined;
        if (!known) first.set(node, path);
        lines.push(known ? `link ${path} = ${known}` : lineOf(node, path, handles));
        if (node.kind === 'folder') descend(node, path);
      }
    };
    descend(tree.root, '');
    return lines;
  } finally {
    handles.forEach(closeSync);
  }
}

function lineOf(node: Node, path: string, handles: readonly number[]): string {
  const { kind, mode, uid, gid, mtime, xattrs, to } = node;
  const parts: string[] = [kind, kind === 'symlink' ? '777' : mode.toString(8), `${uid}:${gid}`];
  if (kind === 'file') parts.push(String(node.size), digestOf(node, handles));
  if (mtime === CONTEXT_TIME) parts.push('then');
  parts.push(path);
  if (kind === 'symlink') parts.push('->', Buffer.from(to, 'latin1').toString('utf8'));
  if (kind === 'character' || kind === 'block') parts.push(`${node.major}:${node.minor}`);
  for (const [key, value] of [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1)))
    parts.push(`${key}=${value.toString('base64')}`);
  return parts.join(' ');
}

function digestOf({ layer, offset, size }: Node, handles: readonly number[]): string {
  const hash = createHash('sha256');
  const chunk = Buffer.alloc(64 * 1024);
  for (let at = 0; at < size; ) {
    const bytes = readSync(handles[layer]!, chunk, 0, Math.min(chunk.length, size - at), offset + at);
    if (bytes === 0) throw new Error('the tar ends too early');
    hash.update(chunk.subarray(0, bytes));
    at += bytes;
  }
  return hash.digest('hex').slice(0, DIGEST_CHARS);
}

export function differences(
  lines: readonly string[],
  base: readonly string[],
): { tree: string[]; gone: string[] } {
  const [have, had] = [new Set(lines), new Set(base)];
  return {
    tree: lines.filter((line) => !had.has(line)),
    gone: base.filter((line) => !have.has(line)),
  };
}
