// `prune`: removes what of the store nothing needs: never what a sandbox lies over.

import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { layerFile } from '../../host/layout.ts';
import { readJson } from '../../host/read-json.ts';
import { forgetName } from '../../image/index.ts';
import type { PrunedItem, PruneRequest, PruneResult } from '../../protocol/prune.ts';
import type { Conductor } from '../conductor.ts';
import { takeInventory, usedTemplates } from './inventory.ts';
import { type Inventory, type PrunePlan, planPrune } from './plan.ts';

export async function prune(conductor: Conductor, request: PruneRequest): Promise<PruneResult> {
  const isAsItWas = conductor.templates.images.watch();
  const store = await takeInventory(conductor);
  const planned = planPrune(store, request, Date.now());
  const plan = request.dryRun ? planned : await carryOut(conductor, planned, isAsItWas);
  const items = itemsOf(store, plan);
  const bytes = sum(items);
  return {
    templates: plan.templates,
    images: plan.images,
    layers: plan.layers,
    kernels: plan.kernels,
    caches: plan.caches,
    archives: plan.archives,
    downloadsBytes: sum(items.filter(({ kind }) => kind === 'downloads')),
    freedMib: Math.round(bytes / 1024 ** 2),
    leftMib: Math.round((planned.leftBytes + sum(itemsOf(store, planned)) - bytes) / 1024 ** 2),
    dryRun: request.dryRun,
    items,
  };
}

/** Answers what was removed. What is being made meanwhile may need anything, and is named by nothing yet. */
async function carryOut(conductor: Conductor, plan: PrunePlan, isAsItWas: () => boolean): Promise<PrunePlan> {
  const { storeFolders } = conductor.rooms;
  const each = async (
    names: readonly string[],
    may: (name: string) => boolean,
    removed: (name: string) => Promise<void>,
  ) => {
    const done: string[] = [];
    for (const name of names) {
      if (!may(name)) continue;
      await removed(name);
      done.push(name);
    }
    return done;
  };
  const inFolder = (folder: string, names: readonly string[]) =>
    each(names, isAsItWas, (name) => remove(join(folder, name)));
  // Nothing may be waited for between the question and the removal: a sandbox may be made of it in a moment.
  const isFree = (id: string) => !usedTemplates(conductor).has(id);
  const templates = await each(plan.templates, isFree, (id) => conductor.templates.remove(id));
  const stays = templates.length < plan.templates.length;
  const rest = stays ? { ...plan, names: [], images: [], layers: [], kernels: [] } : plan;
  // Names first: nobody finds what is half removed.
  const names = await each(rest.names, isAsItWas, forgetName);
  const done: PrunePlan = {
    ...{ templates, names },
    images: await inFolder(storeFolders.images, rest.images),
    layers: await inFolder(storeFolders.layers, rest.layers),
    kernels: await inFolder(storeFolders.kernels, rest.kernels),
    caches: await each(rest.caches, isAsItWas, remove),
    // Doors may be reading or writing them: what is open stays whole for them.
    downloads: await each(rest.downloads, () => true, remove),
    archives: await each(rest.archives, () => true, remove),
    leftBytes: plan.leftBytes,
  };
  if (done.layers.length > 0) await forgetSteps(storeFolders.steps, storeFolders.layers);
  conductor.rooms.forgetStore();
  conductor.templates.images.forget();
  return done;
}

async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** A step whose layer is gone runs again. */
async function forgetSteps(steps: string, layers: string): Promise<void> {
  const left = new Set(await readdir(layers).catch(() => []));
  for (const name of await readdir(steps).catch(() => [])) {
    const step = (await readJson(join(steps, name))) as { layer?: { diffId: string } | null } | undefined;
    if (!step || (step.layer && !left.has(basename(layerFile('', step.layer.diffId)))))
      await rm(join(steps, name), { force: true });
  }
}

/** For people. */
function itemsOf(store: Inventory, plan: PrunePlan): PrunedItem[] {
  const named = new Map(store.names.map(({ image, name }) => [image, name]));
  const gone = new Set([...plan.templates, ...plan.caches, ...plan.downloads, ...plan.archives]);
  const downloads = store.downloads.filter(({ id }) => gone.has(id));
  const item = (
    kind: PrunedItem['kind'],
    { id, bytes, usedAtMs = 0 }: { id: string; bytes: number; usedAtMs?: number },
    what = '',
  ): PrunedItem => ({
    kind,
    id,
    what,
    bytes,
    usedAt: usedAtMs > 0 ? new Date(usedAtMs).toISOString() : null,
  });
  const usedAtMs = Math.max(0, ...downloads.map((each) => each.usedAtMs));
  return [
    ...store.templates
      .filter(({ id }) => gone.has(id))
      .map((each) => item('template', each, each.damaged ? 'damaged' : named.get(each.image))),
    ...plan.images.map((id) => item('image', { id, ...store.images.get(id)! }, named.get(id))),
    ...plan.layers.map((id) => item('layer', { id, ...store.layers.get(id)! })),
    ...plan.kernels.map((id) => item('kernel', { id, ...store.kernels.get(id)! })),
    ...store.caches.filter(({ id }) => gone.has(id)).map((each) => item('build-cache', each)),
    ...store.archives.filter(({ id }) => gone.has(id)).map((each) => item('archive', each)),
    ...(downloads.length === 0
      ? []
      : [item('downloads', { id: `${downloads.length} files`, bytes: sum(downloads), usedAtMs })]),
  ];
}

function sum(of: readonly { bytes: number }[]): number {
  return of.reduce((total, { bytes }) => total + bytes, 0);
}
