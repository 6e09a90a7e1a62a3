// Entries into the two lists of a policy file, and out of them. Pure.

import { meaningOf } from './find-rules.ts';
import type { Entry } from './rule.ts';

export interface Lists {
  allow: Entry[];
  deny: Entry[];
}

/**
 * What is put into one list leaves the other, where it would contradict. Entries are the same when they do the same.
 * `changed`: what was not so before.
 */
export function withEntries<T extends Lists>(
  lists: T,
  effect: keyof Lists,
  entries: readonly Entry[],
): { lists: T; changed: Entry[] } {
  const other = effect === 'allow' ? 'deny' : 'allow';
  const there = new Set(lists[effect].map((entry) => meaningOf(entry, effect)));
  const changed = [...new Map(entries.map((entry) => [meaningOf(entry, effect), entry])).values()].filter(
    (entry) => !there.has(meaningOf(entry, effect)),
  );
  const named = new Set(entries.map((entry) => meaningOf(entry, other)));
  const kept = lists[other].filter((entry) => !named.has(meaningOf(entry, other)));
  return { lists: { ...lists, [effect]: [...lists[effect], ...changed], [other]: kept }, changed };
}

export function withoutEntries<T extends Lists>(
  lists: T,
  effect: keyof Lists,
  gone: ReadonlySet<Entry>,
): { lists: T; changed: Entry[] } {
  const changed = lists[effect].filter((entry) => gone.has(entry));
  const kept = lists[effect].filter((entry) => !gone.has(entry));
  return { lists: { ...lists, [effect]: kept }, changed };
}
