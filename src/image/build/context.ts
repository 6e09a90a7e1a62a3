// A folder that COPY takes files from. It is listed once, when the first step asks; files are read for their digests only
// where those are not known, and again when they are sent.

import { createHash } from 'node:crypto';
import { type CopySource, selectSources } from '../../environment/dockerfile/index.ts';
import type { FileDigests } from './file-digests.ts';
import { type Listing, type ListingRules, listContext } from './listing.ts';
import { type Picked, pick, withParents } from './pick.ts';

export class BuildContext {
  readonly folder: string;
  readonly #rules: ListingRules;
  readonly #isWithheld: (path: string) => boolean;
  readonly #digests: FileDigests;
  #listing: Promise<Listing> | undefined;

  constructor(
    folder: string,
    parts: { rules: ListingRules; isWithheld: (path: string) => boolean; digests: FileDigests },
  ) {
    this.folder = folder;
    this.#rules = parts.rules;
    this.#isWithheld = parts.isWithheld;
    this.#digests = parts.digests;
  }

  get #listed(): Promise<Listing> {
    this.#listing ??= listContext(this.folder, this.#rules, this.#isWithheld);
    return this.#listing;
  }

  /** Empty while nothing was asked of it. */
  async withheld(): Promise<string[]> {
    return this.#listing ? (await this.#listing).withheld : [];
  }

  /** What the sources name; those without wildcards that name nothing are answered as `missing`. */
  async select(
    sources: readonly CopySource[],
    { parents, isExcluded }: { parents: boolean; isExcluded: (at: string) => boolean },
  ): Promise<{ picked: Picked[]; missing: string[] }> {
    const listing = await this.#listed;
    const picked: Picked[] = [];
    const missing: string[] = [];
    for (const { path, pivot, required } of sources) {
      // The context itself is nothing that a wildcard names.
      const below = [...listing.entries.keys()].filter((each) => each !== '');
      const paths = required ? [path] : selectSources(path, below);
      const found = paths.flatMap((each) => {
        const at = each.replace(/^\/+/, '').replace(/\/+$/, '');
        const one = pick(listing, at, isExcluded);
        if (!one) return [];
        return parents ? [withParents(listing, one, at, pivot.replace(/^\/+|\/+$/g, ''))] : [one];
      });
      if (found.length === 0 && required) missing.push(path);
      picked.push(...found);
    }
    return { picked, missing };
  }

  /** Of names, kinds, modes and contents; times do not count. */
  async digest(picked: readonly Picked[]): Promise<string> {
    const all = picked.flatMap(({ name, entries }, nr) =>
      entries.map(({ at, entry }) => ({ key: `${nr}\0${name}\0${at}`, entry })),
    );
    const files = all.filter(({ entry }) => entry.kind === 'file').map(({ entry }) => entry);
    const digests = await this.#digests.of(this.folder, files);
    const hash = createHash('sha256');
    let file = 0;
    for (const { key, entry } of all) {
      const content = entry.kind === 'file' ? digests[file++] : entry.to;
      hash.update(`${key}\0${entry.kind}\0${entry.mode}\0${content}\n`);
    }
    return hash.digest('hex');
  }
}
