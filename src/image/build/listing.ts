// The files of a build's context, as a listing: what .dockerignore and the host's own rules leave of a folder. Nothing is
// read but names and attributes; symlinks are listed, not followed.

import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { WarrenError } from '../../protocol/error.ts';
import { limits } from '../../protocol/limits.ts';

export interface ContextEntry {
  kind: 'file' | 'folder' | 'symlink';
  /** Relative to the context, with slashes; '' is the context itself. */
  path: string;
  mode: number;
  size: number;
  mtimeNs: bigint;
  ctimeNs: bigint;
  inode: bigint;
  /** Where a symlink leads. */
  to: string;
}

export interface ListingRules {
  ignores(path: string): boolean;
  /** A folder that is ignored may still hold what is not. */
  mayHoldExceptions(folder: string): boolean;
}

export interface Listing {
  folder: string;
  /** By path, each after the folder that it is in, in the order of names. */
  entries: Map<string, ContextEntry>;
  /** What the host keeps to itself, although no rule of the build says so. */
  withheld: string[];
}

const DEPTH_MAX = 200;

/** Throws `environment.context`. `isWithheld` is asked with the path of each file. */
export async function listContext(
  folder: string,
  rules: ListingRules,
  isWithheld: (path: string) => boolean,
): Promise<Listing> {
  const listing: Listing = { folder, entries: new Map(), withheld: [] };
  const root = await entryOf(folder, '');
  if (root?.kind !== 'folder')
    throw new WarrenError({
      code: 'environment.context',
      message: `cannot build from ${folder}: it is no folder`,
      remedy: 'name the folder that COPY takes files from',
    });
  listing.entries.set('', root);
  await descend(listing, '', rules, isWithheld, 0);
  return listing;
}

async function descend(
  listing: Listing,
  parent: string,
  rules: ListingRules,
  isWithheld: (path: string) => boolean,
  depth: number,
): Promise<void> {
  if (depth > DEPTH_MAX) throw tooMuch(listing.folder, `folders deeper than ${DEPTH_MAX}`);
  const names = (await readdir(join(listing.folder, parent))).sort();
  const paths = names.map((name) => (parent === '' ? name : `${parent}/${name}`));
  const found = await Promise.all(paths.map((path) => entryOf(listing.folder, path)));
  for (const entry of found) {
    if (!entry) continue;
    const ignored = rules.ignores(entry.path);
    const isFolder = entry.kind === 'folder';
    if (ignored && !(isFolder && rules.mayHoldExceptions(entry.path))) continue;
    if (!isFolder && isWithheld(entry.path)) {
      listing.withheld.push(entry.path);
      continue;
    }
    if (isFolder) {
      const before = listing.entries.size;
      listing.entries.set(entry.path, entry);
      await descend(listing, entry.path, rules, isWithheld, depth + 1);
      // Ignored, and nothing in it is an exception.
      if (ignored && listing.entries.size === before + 1) listing.entries.delete(entry.path);
    } else listing.entries.set(entry.path, entry);
    if (listing.entries.size > limits.imageEntries)
      throw tooMuch(listing.folder, `more than ${limits.imageEntries} files`);
  }
}

/** Sockets, devices and pipes are nothing to build from; what is gone by now was never there. */
async function entryOf(folder: string, path: string): Promise<ContextEntry | undefined> {
  const full = join(folder, path);
  const found = await lstat(full, { bigint: true }).catch(() => undefined);
  if (!found) return undefined;
  const kind = found.isFile()
    ? 'file'
    : found.isDirectory()
      ? 'folder'
      : found.isSymbolicLink()
        ? 'symlink'
        : undefined;
  if (!kind) return undefined;
  const to = kind === 'symlink' ? await readlink(full).catch(() => '') : '';
  const { size, mode, mtimeNs, ctimeNs, ino } = found;
  return { kind, path, mode: Number(mode) & 0o7777, size: Number(size), mtimeNs, ctimeNs, inode: ino, to };
}

function tooMuch(folder: string, what: string): WarrenError {
  return new WarrenError({
    code: 'environment.context',
    message: `cannot build from ${folder}: it has ${what}`,
    remedy: 'name what is not needed in .dockerignore',
  });
}
