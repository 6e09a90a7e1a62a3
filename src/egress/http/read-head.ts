// Reads the head of a request that Node's parser let through; it was written by a guest (hostile). Strict: what two
// programs could read differently is refused, and nothing of it goes upstream. Pure. Limits: 256 headers.

import { canonicalHost, parsePort, sameHost } from '../names/canonical-host.ts';
import type { RequestHead, Target } from '../policy/verdict.ts';
import { endToEnd, type HeaderList, listOf, pairsOf, valuesOf } from './headers.ts';

export interface ReadHead {
  /** Without what concerns the guest's connection, `host` and the body's frame. */
  head: RequestHead;
  body: { kind: 'none' } | { kind: 'length'; bytes: number } | { kind: 'unknown' };
  websocket: boolean;
  expectsContinue: boolean;
  /** gRPC asks for trailers with `te`. */
  wantsTrailers: boolean;
}

export interface BadHead {
  status: 400 | 405 | 417 | 421 | 431;
  why: string;
}

const MAX_HEADERS = 256;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const USUAL_PORT = { http: 80, https: 443 } as const;
/** 16 random bytes in base64. */
const WEBSOCKET_KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

export interface Http1Start {
  method: string;
  path: string;
  version: string;
  rawHeaders: readonly string[];
}

export function readHttp1(start: Http1Start, target: Target, protocol: 'http' | 'https'): ReadHead | BadHead {
  const { method, path, version } = start;
  const headers = pairsOf(start.rawHeaders);
  if (version !== '1.1' && version !== '1.0') return bad(400, 'only HTTP/1.1 and HTTP/1.0 are understood');
  const wrong =
    startObjection(method, path) ??
    countObjection(headers) ??
    headersObjection(headers) ??
    hostObjection(valuesOf(headers, 'host'), target, protocol);
  if (wrong) return wrong;

  const lengths = valuesOf(headers, 'content-length');
  const encodings = valuesOf(headers, 'transfer-encoding');
  if (lengths.length > 1 || encodings.length > 1 || (lengths.length > 0 && encodings.length > 0))
    return bad(400, 'the length of its body is told twice');
  if (encodings.length > 0 && (encodings[0]!.toLowerCase() !== 'chunked' || version === '1.0'))
    return bad(400, 'its transfer encoding is not chunked');
  const length = lengths.length === 0 ? null : parseLength(lengths[0]!);
  if (lengths.length > 0 && length === null) return bad(400, 'its content length is not a number');
  for (const name of listOf(headers, 'connection'))
    if (['host', 'content-length', 'transfer-encoding'].includes(name))
      return bad(400, `its connection header names ${name}`);

  const expects = valuesOf(headers, 'expect');
  if (expects.length > 1 || (expects.length === 1 && expects[0]!.toLowerCase() !== '100-continue'))
    return bad(417, 'it expects something else than 100-continue');
  const hasBody = encodings.length > 0 || (length ?? 0) > 0;
  const websocket = headers.some(([name]) => name === 'upgrade' || name === 'http2-settings');
  if (websocket) {
    const objection = websocketObjection(start, headers, hasBody);
    if (objection) return bad(400, objection);
  }
  return {
    head: { method, path, headers: forwarded(headers) },
    body:
      encodings.length > 0
        ? { kind: 'unknown' }
        : length === null
          ? { kind: 'none' }
          : { kind: 'length', bytes: length },
    websocket,
    expectsContinue: expects.length === 1,
    wantsTrailers: listOf(headers, 'te').includes('trailers'),
  };
}

/** `rawHeaders` with pseudo-headers in front, as Node's HTTP/2 has them. */
export function readHttp2(rawHeaders: readonly string[], ended: boolean, target: Target): ReadHead | BadHead {
  const all = pairsOf(rawHeaders);
  const pseudo = (name: string) => valuesOf(all, name);
  const headers = all.filter(([name]) => !name.startsWith(':'));
  const [method, path] = [pseudo(':method'), pseudo(':path')];
  if (method.length !== 1 || path.length !== 1) return bad(400, 'it has no method or no path');
  if (pseudo(':protocol').length > 0) return bad(400, 'extended CONNECT is not understood');
  if (pseudo(':scheme').join() !== 'https') return bad(400, 'its scheme is not https');
  const authority = pseudo(':authority');
  const hosts = valuesOf(headers, 'host');
  if (hosts.length > 1 || (hosts.length === 1 && authority.length === 1 && hosts[0] !== authority[0]))
    return bad(400, 'its host is told twice');
  const wrong =
    startObjection(method[0]!, path[0]!) ??
    countObjection(all) ??
    headersObjection(headers) ??
    hostObjection(authority.length > 0 ? authority : hosts, target, 'https');
  if (wrong) return wrong;
  const forbidden = headers.find(([name]) => name === 'upgrade' || name === 'transfer-encoding');
  if (forbidden) return bad(400, `${forbidden[0]} has no place in HTTP/2`);
  const lengths = valuesOf(headers, 'content-length');
  const length = lengths.length === 1 ? parseLength(lengths[0]!) : null;
  if (lengths.length > 1 || (lengths.length === 1 && length === null))
    return bad(400, 'its content length is not one number');
  return {
    head: { method: method[0]!, path: path[0]!, headers: forwarded(oneCookie(headers)) },
    body: ended
      ? { kind: 'none' }
      : length === null
        ? { kind: 'unknown' }
        : { kind: 'length', bytes: length },
    websocket: false,
    expectsContinue: valuesOf(headers, 'expect').length > 0,
    wantsTrailers: listOf(headers, 'te').includes('trailers'),
  };
}

function startObjection(method: string, path: string): BadHead | null {
  if (!TOKEN.test(method) || method.length > 20) return bad(400, 'its method is not one');
  if (method === 'TRACE' || method === 'TRACK') return bad(405, `${method} would show what the door adds`);
  if (method === 'CONNECT') return bad(400, 'a connection inside a connection is refused');
  if (path === '*' && method === 'OPTIONS') return null;
  if (!path.startsWith('/')) return bad(400, 'its path does not begin with /');
  if (/[\x00-\x20\x7f#]/.test(path)) return bad(400, 'its path has a character that cannot be in one');
  return null;
}

/** Those of HTTP/2 with colons count: they become headers of HTTP/1.1, which has no more than these. */
function countObjection(headers: HeaderList): BadHead | null {
  return headers.length > MAX_HEADERS ? bad(431, `it has more than ${MAX_HEADERS} headers`) : null;
}

function headersObjection(headers: HeaderList): BadHead | null {
  for (const [name, value] of headers) {
    if (!TOKEN.test(name)) return bad(400, 'the name of a header is none');
    if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) return bad(400, 'a header has a control character');
  }
  return null;
}

function hostObjection(hosts: readonly string[], target: Target, protocol: 'http' | 'https'): BadHead | null {
  if (hosts.length !== 1) return bad(400, hosts.length === 0 ? 'it has no host' : 'it has two hosts');
  const [, name, portText] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(hosts[0]!) ?? [];
  const host = name === undefined ? null : canonicalHost(name);
  if (host === null || 'refused' in host) return bad(400, 'its host is not one');
  const port = portText === undefined ? USUAL_PORT[protocol] : parsePort(portText);
  if (port === null) return bad(400, 'the port of its host is not one');
  if (!sameHost(host, target.host) || port !== target.port)
    return bad(421, 'its host is not the one that the connection was opened for');
  return null;
}

function websocketObjection(
  { method, version }: Http1Start,
  headers: HeaderList,
  hasBody: boolean,
): string | null {
  const only = (name: string) => {
    const values = valuesOf(headers, name);
    return values.length === 1 ? values[0]! : null;
  };
  if (only('upgrade')?.toLowerCase() !== 'websocket') return 'only an upgrade to websocket is understood';
  if (!listOf(headers, 'connection').includes('upgrade')) return 'it upgrades without saying so';
  if (method !== 'GET' || version !== '1.1' || hasBody) return 'a websocket begins with a GET without a body';
  if (only('sec-websocket-version') !== '13') return 'its websocket version is not 13';
  if (!WEBSOCKET_KEY.test(only('sec-websocket-key') ?? '')) return 'its websocket key is not one';
  return null;
}

function forwarded(headers: HeaderList): [string, string][] {
  return endToEnd(headers).filter(
    ([name]) => name !== 'host' && name !== 'content-length' && name !== 'expect',
  );
}

/** HTTP/2 may send a cookie in pieces; they are one header everywhere else. */
function oneCookie(headers: HeaderList): HeaderList {
  const cookies = valuesOf(headers, 'cookie');
  if (cookies.length < 2) return headers;
  return [...headers.filter(([name]) => name !== 'cookie'), ['cookie', cookies.join('; ')]];
}

function parseLength(text: string): number | null {
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function bad(status: BadHead['status'], why: string): BadHead {
  return { status, why };
}
