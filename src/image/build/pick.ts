// What a COPY takes out of a listing: each source with all that it holds. Pure.

import type { ContextEntry, Listing } from './listing.ts';

export interface Picked {
  /** What it is called where it is copied to. */
  name: string;
  /** The source itself first, then all in it; `at` is relative to the source ('' for itself). */
  entries: { at: string; entry: ContextEntry }[];
}

const SYMLINKS_MAX = 40;

/** A source that is a symlink stands for what it leads to in the context; undefined: to nothing there. */
export function pick(
  listing: Listing,
  path: string,
  isExcluded: (at: string) => boolean,
): Picked | undefined {
  const real = follow(listing, path);
  const source = real === undefined ? undefined : listing.entries.get(real);
  if (!source) return undefined;
  const entries = [{ at: '', entry: source }];
  if (source.kind === 'folder') {
    const prefix = source.path === '' ? '' : `${source.path}/`;
    for (const entry of listing.entries.values()) {
      if (entry.path === source.path || !entry.path.startsWith(prefix)) continue;
      const at = entry.path.slice(prefix.length);
      if (!isExcluded(at)) entries.push({ at, entry });
    }
  }
  return { name: path.split('/').at(-1) ?? '', entries };
}

/** With `--parents`: the way to the source, from `pivot` on, comes along. */
export function withParents(listing: Listing, picked: Picked, path: string, pivot: string): Picked {
  const below = pivot === '' ? path : path.slice(pivot.length + 1);
  const parts = below.split('/').filter((part) => part !== '');
  const base = listing.entries.get(pivot) ?? listing.entries.get('')!;
  const way = parts.slice(0, -1).map((_, nr) => {
    const at = parts.slice(0, nr + 1).join('/');
    return { at, entry: listing.entries.get(pivot === '' ? at : `${pivot}/${at}`) ?? base };
  });
  const source = parts.join('/');
  return {
    name: '',
    entries: [
      { at: '', entry: base },
      ...way,
      ...picked.entries.map(({ at, entry }) => ({ at: at === '' ? source : `${source}/${at}`, entry })),
    ],
  };
}

/** Every part of the way may be a symlink; none leads out of the context. */
export function follow(listing: Listing, path: string): string | undefined {
  const ahead = path.split('/').reverse();
  let way: string[] = [];
  let links = 0;
  for (let part = ahead.pop(); part !== undefined; part = ahead.pop()) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      way.pop();
      continue;
    }
    const next = [...way, part].join('/');
    const entry = listing.entries.get(next);
    if (entry?.kind !== 'symlink') {
      if (!entry) return undefined;
      way.push(part);
      continue;
    }
    if (++links > SYMLINKS_MAX) return undefined;
    if (entry.to.startsWith('/')) way = [];
    for (const each of entry.to.split('/').reverse()) ahead.push(each);
  }
  return way.join('/');
}
