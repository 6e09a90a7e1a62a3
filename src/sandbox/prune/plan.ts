// Which of the store's things go, by what needs them, when they were last used, and how much may stay. Pure.

import type { Part } from '../../host/folder-parts.ts';

export interface StoredTemplate {
  id: string;
  bytes: number;
  usedAtMs: number;
  createdAtMs: number;
  /** Sandboxes whose disks lie over it. */
  users: readonly string[];
  damaged: boolean;
  /** Its size, and the repository that was prepared in it: of those alike only the newest is what the next `up` uses. */
  kind: string;
  /** Folder's name of its image; '' of a damaged one. */
  image: string;
  /** Names of files that its disks are. */
  layers: readonly string[];
  /** A name stands for its image, or did. */
  isNamed: boolean;
  kernel: string;
}

export interface StoredName {
  file: string;
  name: string;
  image: string;
  layers: readonly string[];
  usedAtMs: number;
  /** The Dockerfile that it is of is not there any more. */
  isGone: boolean;
}

/** A cache: nothing depends on it. */
export interface StoredCache {
  id: string;
  bytes: number;
  usedAtMs: number;
  /** It is little, and the network is needed to have it again. */
  staysLately?: boolean;
}

/** What stays as long as something that stays needs it. */
export type StoredPart = Part;

export interface Inventory {
  templates: readonly StoredTemplate[];
  names: readonly StoredName[];
  /** By name in the store. */
  images: ReadonlyMap<string, StoredPart & { layers: readonly string[] }>;
  layers: ReadonlyMap<string, StoredPart>;
  kernels: ReadonlyMap<string, StoredPart>;
  caches: readonly StoredCache[];
  downloads: readonly StoredCache[];
  /** Of removed sandboxes: nothing makes them again. */
  archives: readonly StoredCache[];
}

export interface PruneOptions {
  /** Also what the next `up` would use. */
  all: boolean;
  /** What was used since then stays, and all that was not goes. */
  olderThanMs: number | null;
  /** What was used longest ago goes, until so much is left. */
  keepBytes: number | null;
}

/** Each by its id, name or path. */
export interface PrunePlan {
  templates: string[];
  names: string[];
  images: string[];
  layers: string[];
  kernels: string[];
  caches: string[];
  downloads: string[];
  archives: string[];
  /** Of the store, afterwards. */
  leftBytes: number;
}

/** What a name stood for so lately is what the next `up` uses; archives are kept so long. */
export const LATELY_MS = 30 * 24 * 3_600_000;
/** Kernels as they were fetched: the next agent is put into one. */
const FETCHED_KERNEL = /^debian-/;

interface Kept {
  templates: Set<StoredTemplate>;
  names: Set<StoredName>;
  caches: Set<StoredCache>;
  downloads: Set<StoredCache>;
  archives: Set<StoredCache>;
}

export function planPrune(store: Inventory, options: PruneOptions, nowMs: number): PrunePlan {
  const kept = chosen(store, options, nowMs);
  if (options.keepBytes !== null) dropOldest(store, kept, options, nowMs);
  const { images, layers, kernels, bytes } = needed(store, kept, options, nowMs);
  const without = <T>(all: Iterable<T>, stays: ReadonlySet<T>) => [...all].filter((each) => !stays.has(each));
  return {
    templates: without(store.templates, kept.templates).map(({ id }) => id),
    // A name whose image stays by other means keeps standing for it.
    names: without(store.names, kept.names).flatMap(({ file, image }) => (images.has(image) ? [] : [file])),
    images: without(store.images.keys(), images),
    layers: without(store.layers.keys(), layers),
    kernels: without(store.kernels.keys(), kernels),
    caches: without(store.caches, kept.caches).map(({ id }) => id),
    downloads: without(store.downloads, kept.downloads).map(({ id }) => id),
    archives: without(store.archives, kept.archives).map(({ id }) => id),
    leftBytes: bytes,
  };
}

/** What stays however little space there may be. */
function isNeeded({ users }: StoredTemplate): boolean {
  return users.length > 0;
}

function chosen(store: Inventory, options: PruneOptions, nowMs: number): Kept {
  const { all, olderThanMs, keepBytes } = options;
  const only = <T>(each: readonly T[], stays: (one: T) => boolean) => new Set(each.filter(stays));
  const by = (stays: (one: { usedAtMs: number }) => boolean): Kept => ({
    templates: only(store.templates, (one) => isNeeded(one) || (!one.damaged && stays(one))),
    names: only(store.names, stays),
    caches: only(store.caches, stays),
    downloads: only(store.downloads, stays),
    archives: only(store.archives, (one) => age(one, nowMs) < (olderThanMs ?? LATELY_MS)),
  });
  if (keepBytes !== null) return by(() => true);
  if (olderThanMs !== null) return by((one) => age(one, nowMs) < olderThanMs);
  if (all) return by(() => false);
  const names = currentNames(store.names, nowMs);
  const templates = currentTemplates(store.templates, names, nowMs);
  return {
    templates: only(store.templates, (one) => isNeeded(one) || templates.has(one)),
    names,
    caches: only(store.caches, (one) => one.staysLately === true && isLate(one, nowMs)),
    downloads: new Set(),
    archives: only(store.archives, (one) => isLate(one, nowMs)),
  };
}

/** Of each name the record that was used last, when that was lately. */
function currentNames(names: readonly StoredName[], nowMs: number): Set<StoredName> {
  const latest = new Map<string, StoredName>();
  for (const each of names) {
    const other = latest.get(each.name);
    if (!other || each.usedAtMs > other.usedAtMs) latest.set(each.name, each);
  }
  return new Set([...latest.values()].filter((each) => !each.isGone && isLate(each, nowMs)));
}

function isLate(one: { usedAtMs: number }, nowMs: number): boolean {
  return age(one, nowMs) < LATELY_MS;
}

/** What the next `up` would use: of each kind the newest, for the built-in environment and for each current name. */
function currentTemplates(
  templates: readonly StoredTemplate[],
  names: ReadonlySet<StoredName>,
  nowMs: number,
): Set<StoredTemplate> {
  const images = new Set([...names].map(({ image }) => image));
  const newest = new Map<string, StoredTemplate>();
  for (const template of templates) {
    const { damaged, isNamed, image, kind, createdAtMs } = template;
    if (damaged || (isNamed && !(images.has(image) && isLate(template, nowMs)))) continue;
    const key = JSON.stringify([isNamed ? image : '', kind]);
    const other = newest.get(key);
    if (!other || createdAtMs > other.createdAtMs) newest.set(key, template);
  }
  return new Set(newest.values());
}

function dropOldest(store: Inventory, kept: Kept, options: PruneOptions, nowMs: number): void {
  const { keepBytes, olderThanMs } = options;
  const drops = [
    ...[...kept.templates]
      .filter((one) => !isNeeded(one))
      .map((one) => ({ one, from: kept.templates as Set<object> })),
    ...[...kept.names].map((one) => ({ one, from: kept.names as Set<object> })),
    ...[...kept.caches].map((one) => ({ one, from: kept.caches as Set<object> })),
    ...[...kept.downloads].map((one) => ({ one, from: kept.downloads as Set<object> })),
  ]
    .filter(({ one }) => age(one, nowMs) >= (olderThanMs ?? 0))
    .sort((a, b) => age(b.one, nowMs) - age(a.one, nowMs));
  let left = needed(store, kept, options, nowMs).bytes;
  for (const { one, from } of drops) {
    if (left <= keepBytes!) return;
    from.delete(one);
    // What a cache takes is its own; what a template or a name needs may be needed by others too.
    left = 'bytes' in one && !('users' in one) ? left - one.bytes : needed(store, kept, options, nowMs).bytes;
  }
}

function age({ usedAtMs }: { usedAtMs: number }, nowMs: number): number {
  return nowMs - usedAtMs;
}

/** What must be there for what is kept, and how much all of it takes. */
function needed(
  store: Inventory,
  kept: Kept,
  { all, olderThanMs }: PruneOptions,
  nowMs: number,
): { images: Set<string>; layers: Set<string>; kernels: Set<string>; bytes: number } {
  const images = new Set<string>();
  const layers = new Set<string>();
  const kernels = new Set<string>();
  for (const template of kept.templates) {
    images.add(template.image);
    kernels.add(template.kernel);
    for (const layer of template.layers) layers.add(layer);
  }
  for (const name of kept.names) {
    images.add(name.image);
    for (const layer of name.layers) layers.add(layer);
  }
  // Made lately, and named by nothing yet: another daemon with the same store may be about to.
  const addYoung = (parts: ReadonlyMap<string, StoredPart>, to: Set<string>) => {
    for (const [name, { madeAtMs }] of parts) if (nowMs - madeAtMs < (olderThanMs ?? 0)) to.add(name);
  };
  addYoung(store.images, images);
  addYoung(store.layers, layers);
  addYoung(store.kernels, kernels);
  for (const image of images) for (const layer of store.images.get(image)?.layers ?? []) layers.add(layer);
  // Without a template nothing tells which kernel the next one is made with.
  for (const kernel of store.kernels.keys())
    if (!all && (kept.templates.size === 0 || FETCHED_KERNEL.test(kernel))) kernels.add(kernel);
  const sum = (values: Iterable<number>) => [...values].reduce((total, bytes) => total + bytes, 0);
  const sizes = (of: ReadonlySet<{ bytes: number }>) => sum([...of].map(({ bytes }) => bytes));
  const parts = (names: ReadonlySet<string>, of: ReadonlyMap<string, StoredPart>) =>
    sum([...names].map((name) => of.get(name)?.bytes ?? 0));
  const bytes =
    sizes(kept.templates) +
    sizes(kept.caches) +
    sizes(kept.downloads) +
    sizes(kept.archives) +
    parts(images, store.images) +
    parts(layers, store.layers) +
    parts(kernels, store.kernels);
  return { images, layers, kernels, bytes };
}
