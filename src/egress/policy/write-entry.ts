// From what a person typed, or answered, to entries of a policy file, and into the lists of one. Pure. What is wrong
// is told by `parsePolicy`, which reads every entry before it is kept.

import { canonical } from './canonical.ts';
import type { Entry, EntryObject } from './rule.ts';
import type { Typed } from './typed.ts';

/** `host`: a name, an address or a range, the first two with `:port` or without. A string where that says it all. */
export function entryOf(host: string, { protocol, methods, paths, git, allowPrivate }: Typed): Entry {
  // A name with a path is told as what it is, not as a strange range.
  const isRange = /^[\d.:a-f[\]]+\//i.test(host);
  const isLimited = methods.length > 0 || paths.length > 0 || git !== null;
  const isPlain = protocol === null && !isLimited && !allowPrivate;
  if (isPlain && !isRange) return host;
  const [, name = host, port] = /^(.*?)(?::(\d{1,5}))?$/s.exec(host) ?? [];
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

/** For what was asked: exactly that, and nothing beside it. */
export function entryForQuestion(asked: { host: string; port: number; protocol: string }): Entry {
  const { host, port, protocol } = asked;
  const text = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  if (protocol === 'https' && port === 443) return text;
  if (protocol === 'http' && port === 80) return `${text}:80`;
  return { host: text, ports: [port], ...(protocol !== 'https' && { protocol }) } as EntryObject;
}

export interface Lists {
  allow: Entry[];
  deny: Entry[];
}

/** What is put into one list leaves the other, where it would contradict. `changed`: what was not so before. */
export function withEntries<T extends Lists>(
  lists: T,
  effect: keyof Lists,
  entries: readonly Entry[],
): { lists: T; changed: Entry[] } {
  const other = effect === 'allow' ? 'deny' : 'allow';
  const there = new Set(lists[effect].map(canonical));
  const changed = [...new Map(entries.map((entry) => [canonical(entry), entry])).values()].filter(
    (entry) => !there.has(canonical(entry)),
  );
  const named = new Set(entries.map(canonical));
  const kept = lists[other].filter((entry) => !named.has(canonical(entry)));
  return { lists: { ...lists, [effect]: [...lists[effect], ...changed], [other]: kept }, changed };
}

export function withoutEntries<T extends Lists>(
  lists: T,
  effect: keyof Lists,
  entries: readonly Entry[],
): { lists: T; changed: Entry[] } {
  const named = new Set(entries.map(canonical));
  const changed = lists[effect].filter((entry) => named.has(canonical(entry)));
  const kept = lists[effect].filter((entry) => !named.has(canonical(entry)));
  return { lists: { ...lists, [effect]: kept }, changed };
}
