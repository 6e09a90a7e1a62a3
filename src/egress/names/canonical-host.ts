// The one place where a host name of a guest (hostile), of a rule or of a certificate becomes a `Host`. What is not
// plainly a host is refused, never repaired: only what comes out of here is compared, shown or dialed. Limits:
// 253 bytes a name, 63 a label, 65535 a port.

import type { Target } from '../policy/verdict.ts';
import { canonicalAddress } from './address.ts';
import type { Host } from './host.ts';

/** Why not, as the end of a sentence, safe to print: it repeats nothing of the input. */
export interface Refused {
  refused: string;
}

const MAX_NAME_CHARS = 253;
const MAX_LABEL_CHARS = 63;
const MAX_PORT = 65_535;

/** Programs read these as numbers: `127.1`, `0x7f.1`, `2130706433`. */
const NUMBER = /^(?:\d+|0x[0-9a-f]*)$/;
/** With underscores inside, as names of intranets have them; one in front is of records that are no hosts. */
const LABEL = /^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?$/;

/** A name, a dotted quad, or an IPv6 address in brackets. One trailing dot of a name goes; letters become small. */
export function canonicalHost(text: string): Host | Refused {
  if (text.length === 0) return { refused: 'it is empty' };
  if (text.length > MAX_NAME_CHARS + 1) return { refused: `it is longer than ${MAX_NAME_CHARS} characters` };
  if (text.startsWith('[')) return bracketed(text);
  if (/[^\x00-\x7f]/.test(text)) return { refused: 'it has letters beyond ASCII: write it as xn--… labels' };
  if (/[^A-Za-z0-9._-]/.test(text))
    return { refused: 'only letters, digits, hyphens, underscores and dots may be in a host name' };
  const name = (text.endsWith('.') ? text.slice(0, -1) : text).toLowerCase();
  const labels = name.split('.');
  if (labels.includes('')) return { refused: 'one of its labels is empty' };
  if (name.length > MAX_NAME_CHARS) return { refused: `it is longer than ${MAX_NAME_CHARS} characters` };
  if (NUMBER.test(labels.at(-1)!))
    return canonicalAddress(name) ?? { refused: 'it is a number that is no address of four decimal parts' };
  for (const label of labels) {
    if (label.length > MAX_LABEL_CHARS)
      return { refused: `one of its labels is longer than ${MAX_LABEL_CHARS} characters` };
    if (!LABEL.test(label))
      return { refused: 'one of its labels begins or ends with a hyphen or an underscore' };
  }
  return { kind: 'name', name };
}

/** `host:port`, both required, the port plain decimal. */
export function parseAuthority(text: string): Target | Refused {
  const colon = text.lastIndexOf(':');
  if (colon < 0 || text.endsWith(']')) return { refused: 'it has no port' };
  const port = parsePort(text.slice(colon + 1));
  if (port === null) return { refused: `its port is not a number from 1 to ${MAX_PORT}` };
  const host = canonicalHost(text.slice(0, colon));
  return 'refused' in host ? host : { host, port };
}

export function parsePort(text: string): number | null {
  if (!/^[1-9]\d{0,4}$/.test(text)) return null;
  const port = Number(text);
  return port <= MAX_PORT ? port : null;
}

/** As it is written in an authority or in front of a port: IPv6 in brackets. */
export function hostText(host: Host): string {
  if (host.kind === 'name') return host.name;
  return host.family === 6 ? `[${host.address}]` : host.address;
}

export function sameHost(a: Host, b: Host): boolean {
  return a.kind === b.kind && hostText(a) === hostText(b);
}

function bracketed(text: string): Host | Refused {
  const inner = text.slice(1, -1);
  if (!text.endsWith(']') || !inner.includes(':'))
    return { refused: 'what is in brackets is no IPv6 address' };
  return canonicalAddress(inner) ?? { refused: 'what is in brackets is no IPv6 address' };
}
