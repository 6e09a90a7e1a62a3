// Whether a request to the listener of stable names is one, and for which port of which sandbox. Pure. Node's strict
// parser has read the head; what it leaves of ambiguity is refused here, and so is what a page of another site asks for.

import { parseAuthority, parseOrigin, type StableName } from './stable-name.ts';

export interface RequestStart {
  method: string;
  /** As it was written. */
  target: string;
  version: string;
  rawHeaders: readonly string[];
}

export type ReadRequest = { kind: 'request'; to: StableName; websocket: boolean } | Refused;

export interface Refused {
  kind: 'refused';
  status: 400 | 403 | 421 | 501;
  why: string;
}

export function readRequest(start: RequestStart, listenerPort: number): ReadRequest {
  const hosts = valuesOf(start.rawHeaders, 'host');
  if (hosts.length !== 1) return refused(400, 'a request has exactly one Host header');
  const to = parseAuthority(hosts[0]!, listenerPort);
  if (to === null) return refused(421, 'no port of a sandbox has this name');
  // Absolute addresses could name another host than the header does.
  if (!start.target.startsWith('/') || start.method === 'CONNECT')
    return refused(400, 'only a path can be asked for');
  const framing = framingObjection(start);
  if (framing !== null) return refused(400, framing);
  const upgrade = valuesOf(start.rawHeaders, 'upgrade');
  const websocket = upgrade.length > 0 && /^websocket$/i.test(upgrade.join(',').trim());
  if (websocket && (start.method !== 'GET' || hasBody(start.rawHeaders)))
    return refused(400, 'a WebSocket begins with a GET without a body');
  return foreignObjection(start, to, listenerPort) ?? { kind: 'request', to, websocket };
}

export function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2)
    if (rawHeaders[at]!.toLowerCase() === name) values.push(rawHeaders[at + 1]!);
  return values;
}

function hasBody(rawHeaders: readonly string[]): boolean {
  const [length] = valuesOf(rawHeaders, 'content-length');
  return valuesOf(rawHeaders, 'transfer-encoding').length > 0 || (length !== undefined && length !== '0');
}

/** Two readers of a request must find the same end of it. */
function framingObjection({ version, rawHeaders }: RequestStart): string | null {
  const lengths = valuesOf(rawHeaders, 'content-length');
  const codings = valuesOf(rawHeaders, 'transfer-encoding');
  if (lengths.length > 1 || (lengths.length === 1 && !/^\d{1,15}$/.test(lengths[0]!)))
    return 'Content-Length is one number';
  if (codings.length === 0) return null;
  if (lengths.length > 0) return 'Content-Length and Transfer-Encoding exclude each other';
  if (version !== '1.1') return 'Transfer-Encoding is for HTTP/1.1';
  if (codings.length > 1 || codings[0]!.trim().toLowerCase() !== 'chunked')
    return 'the only Transfer-Encoding is chunked';
  return null;
}

/**
 * Pages of other sites, other sandboxes' included, may open a page here and nothing else: WebSockets, forms and hidden
 * requests of theirs would reach servers that take whoever comes from loopback for their developer.
 */
function foreignObjection(
  { method, rawHeaders }: RequestStart,
  { sandbox }: StableName,
  port: number,
): Refused | null {
  const isOwn = (page: string) => parseOrigin(page, port)?.sandbox === sandbox;
  const origins = valuesOf(rawHeaders, 'origin');
  if (origins.some((origin) => !isOwn(origin)))
    return refused(403, 'pages of other sites may not call ports of a sandbox');
  const one = (name: string) => valuesOf(rawHeaders, name)[0]?.trim().toLowerCase();
  const site = one('sec-fetch-site');
  if (site === undefined || site === 'same-origin' || site === 'none') return null;
  if (origins.length > 0 || valuesOf(rawHeaders, 'referer').some(isOwn)) return null;
  const isVisit =
    method === 'GET' && one('sec-fetch-mode') === 'navigate' && one('sec-fetch-dest') === 'document';
  return isVisit ? null : refused(403, 'pages of other sites may not use or embed ports of a sandbox');
}

function refused(status: Refused['status'], why: string): Refused {
  return { kind: 'refused', status, why };
}
