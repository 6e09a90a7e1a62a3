// What a flow speaks, by its client's first bytes, which are hostile. Pure: the caller reads, and asks again with
// more. Nothing here allows anything: it says how the flow is to be judged.

import type { Protocol, Target } from '../policy/verdict.ts';
import { looksLikeTls, MAX_HELLO_BYTES, parseClientHello } from '../tls/client-hello.ts';

export type Spoken =
  /** The bytes may still become one or the other. */
  | { kind: 'unclear' }
  | { kind: 'http' }
  | { kind: 'tls'; serverName: string | null; alpn: readonly string[] }
  /** Begins like TLS and cannot be read: no name can be trusted in it. */
  | { kind: 'broken-tls'; why: string }
  | { kind: 'other' };

const MAX_METHOD_CHARS = 20;

export function classify(bytes: Buffer): Spoken {
  if (bytes.length === 0) return { kind: 'unclear' };
  if (looksLikeTls(bytes)) {
    const hello = parseClientHello(bytes);
    if (hello.state === 'read') return { kind: 'tls', serverName: hello.serverName, alpn: hello.alpn };
    if (hello.state === 'unreadable') return { kind: 'broken-tls', why: hello.why };
    if (bytes.length > MAX_HELLO_BYTES) return { kind: 'broken-tls', why: 'it is too long' };
    return { kind: 'unclear' };
  }
  const head = bytes.toString('latin1', 0, MAX_METHOD_CHARS + 2);
  // Empty lines may come before a request.
  if (/^(?:\r?\n)*[A-Z][A-Z-]*[ \t]/.test(head)) return { kind: 'http' };
  return /^(?:\r?\n)*(?:[A-Z][A-Z-]*|\r)?$/.test(head) && head.length <= MAX_METHOD_CHARS
    ? { kind: 'unclear' }
    : { kind: 'other' };
}

/** How it is to be judged: `https` is intercepted. */
export function chooseProtocol(
  spoken: Exclude<Spoken, { kind: 'unclear' }>,
  protocols: readonly Protocol[],
  port: Target['port'],
): Protocol {
  const may = (protocol: Protocol) => protocols.includes(protocol);
  if (spoken.kind === 'http') return may('http') || !may('tcp') ? 'http' : 'tcp';
  if (spoken.kind !== 'tls') return 'tcp';
  const speaksHttp = spoken.alpn.some((each) => each === 'h2' || each === 'http/1.1');
  // Where any TLS may pass, what is not HTTP must not be taken apart.
  if (may('https') && (speaksHttp || port === 443 || !(may('tls-passthrough') || may('tcp')))) return 'https';
  if (may('tls-passthrough')) return 'tls-passthrough';
  return may('tcp') ? 'tcp' : 'https';
}
