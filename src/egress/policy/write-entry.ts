// From what a person typed, or answered, to entries of a policy file. Pure. What is wrong is told by
// `parsePolicy`, which reads every entry before it is kept.

import { inBrackets } from '../names/address.ts';
import { canonicalHost, hostText } from '../names/canonical-host.ts';
import type { Entry, EntryObject } from './rule.ts';
import type { Typed } from './typed.ts';

/** `host`: a name, an address or a range, the first two with `:port` or without. A string where that says it all. */
export function entryOf(host: string, { protocol, methods, paths, git, allowPrivate }: Typed): Entry {
  // A name with a path is told as what it is, not as a strange range.
  const isRange = /^[\d.:a-f[\]]+\//i.test(host);
  const isLimited = methods.length > 0 || paths.length > 0 || git !== null;
  const isPlain = protocol === null && !isLimited && !allowPrivate;
  const [, written = host, port] = /^(.*?)(?::(\d{1,5}))?$/s.exec(host) ?? [];
  const name = oneSpelling(written);
  if (isPlain && !isRange) return port === undefined ? name : `${name}:${port}`;
  const spoken = protocol ?? (port === '80' ? 'http' : null);
  return {
    ...(isRange ? { cidr: host } : { host: name }),
    ...(!isRange && port !== undefined && { ports: [Number(port)] }),
    ...(spoken !== null && { protocol: spoken }),
    ...(methods.length > 0 && { methods }),
    ...(paths.length > 0 && { paths }),
    ...(git !== null && { git: { fetch: git.fetch, ...(git.push !== null && { push: git.push }) } }),
    ...(allowPrivate && { allowPrivate: true }),
  } satisfies EntryObject;
}

/** Small letters, no dot at the end; what is no host stays as it is, to be told. */
function oneSpelling(name: string): string {
  const [, star = '', rest = ''] = /^(\*\.)?(.*)$/s.exec(name) ?? [];
  const host = canonicalHost(rest);
  return 'refused' in host ? name : `${star}${hostText(host)}`;
}

/** For what was asked: exactly that, and nothing beside it. */
export function entryForQuestion(asked: { host: string; port: number; protocol: string }): Entry {
  const { host, port, protocol } = asked;
  const text = inBrackets(host);
  if (protocol === 'https' && port === 443) return text;
  if (protocol === 'http' && port === 80) return `${text}:80`;
  return { host: text, ports: [port], ...(protocol !== 'https' && { protocol }) } as EntryObject;
}
