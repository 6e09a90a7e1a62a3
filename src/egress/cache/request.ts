// Which requests may be answered from what is kept, and what goes upstream in their place. They come from a guest, which
// is hostile: its headers could make an origin, or a cache in front of it, answer something else for the same address.
// So only requests that have nothing but harmless headers are looked at, and none of those is sent. Pure.

import { grantKey } from '../flow/dial.ts';
import type { Considered } from '../http/downloads.ts';
import { type HeaderList, valuesOf } from '../http/headers.ts';
import { hostText } from '../names/canonical-host.ts';
import { type Digest, integrityOf } from './what.ts';

const MAX_PATH_CHARS = 1_024;
/** Of package managers; what is missing here (`authorization`, `cookie`, `range`, `if-none-match`, …) is not for us. */
const HARMLESS =
  /^(?:accept|accept-encoding|accept-language|cache-control|pragma|priority|referer|sec-fetch-\w+|user-agent|npm-[\w-]+|pacote-[\w-]+)$/;
const USUAL_PORT = { http: 80, https: 443 } as const;

export const HEADERS_SENT: HeaderList = [
  ['accept', '*/*'],
  ['accept-encoding', 'identity'],
  ['user-agent', 'warren'],
];

/** A GET of something by its path alone, which has one spelling only. */
export function isPlainGet({ head: { method, path } }: Considered): boolean {
  if (method !== 'GET' || path.length > MAX_PATH_CHARS || !/^\/[\w.!~%@+/-]+$/.test(path)) return false;
  return !/\/\.{0,2}\/|\/\.{1,2}$|%2e|%00|%5c/i.test(path);
}

export function isHarmless({ head: { headers } }: Considered): boolean {
  return headers.every(([name]) => HARMLESS.test(name));
}

/** As an address is written: without a usual port. */
export function originOf({ protocol, target: { host, port } }: Considered): string {
  return `${protocol}://${hostText(host)}${port === USUAL_PORT[protocol] ? '' : `:${port}`}`;
}

/** What makes two requests one: the place, how it was dialed, and whose word its certificate was taken on. */
export function keyOf(request: Considered, trust: string): string {
  return `${originOf(request)}${request.head.path} ${grantKey(request.grant)} ${trust}`;
}

/** npm says which integrity its lockfile demands. A claim of the guest, good for what it gets itself. */
export function claimOf({ head: { headers } }: Considered): Digest | null {
  const claims = valuesOf(headers, 'pacote-integrity');
  return claims.length === 1 ? integrityOf(claims[0]) : null;
}
