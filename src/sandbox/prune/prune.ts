// `prune`: removes what of the store nothing needs: never what a sandbox lies over.

import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { layerFile } from '../../host/layout.ts';
import { forgetName } from '../../image/index.ts';
import type { PrunedItem, PruneRequest, PruneResult } from '../../protocol/prune.ts';
import type { Conductor } from '../conductor.ts';
import { takeInventory } from './inventory.ts';
import { type Inventory, type PrunePlan, planPrune } from './plan.ts';

export async function prune(conductor: Conductor, request: PruneRequest): Promise<PruneResult> {
  const store = await takeInventory(conductor);
  const planned = planPrune(store, request, Date.now());
  // What a build has just made is named by nothing yet.
  const plan: PrunePlan = conductor.templates.images.areMade
    ? { ...planned, names: [], images: [], layers: [], caches: [] }
    : planned;
  const items = itemsOf(store, plan);
  if (!request.dryRun) await carryOut(conductor, plan);
  const bytes = items.reduce((sum, item) => sum + item.bytes, 0);
  const downloads = items.filter(({ kind }) => kind === 'downloads');
  return {
    templates: plan.templates,
    images: plan.images,
    layers: plan.layers,
    kernels: plan.kernels,
    caches: plan.caches,
    downloadsBytes: downloads.reduce((sum, item) => sum + item.bytes, 0),
    freedMib: Math.round(bytes / 1024 ** 2),
    leftMib: Math.round(planned.leftBytes / 1024 ** 2),
    dryRun: request.dryRun,
    items,
  };
}

async function carryOut(conductor: Conductor, plan: PrunePlan): Promise<void> {
  const { storeFolders } = conductor.rooms;
  for (const id of plan.templates) await conductor.templates.remove(id);
  const paths = [
    ...plan.images.map((name) => join(storeFolders.images, name)),
    ...plan.layers.map((name) => join(storeFolders.layers, name)),
    ...plan.kernels.map((name) => join(storeFolders.kernels, name)),
    ...plan.caches,
    // Doors may be reading or writing them: what is open stays whole for them.
    ...plan.downloads,
  ];
  for (const path of paths) await rm(path, { recursive: true, force: true });
  for (const file of plan.names) await forgetName(file);
  if (plan.layers.length > 0) await forgetSteps(storeFolders.steps, storeFolders.layers);
  conductor.rooms.forgetStore();
  conductor.templates.images.forget();
}

/** A step whose layer is gone runs again. */
async function forgetSteps(steps: string, layers: string): Promise<void> {
  const left = new Set(await readdir(layers).catch(() => []));
  for (const name of await readdir(steps).catch(() => [])) {
    const text = await readFile(join(steps, name), 'utf8').catch(() => '{}');
    const { layer } = JSON.parse(text) as { layer?: { diffId: string } | null };
    if (layer && !left.has(basename(layerFile('', layer.diffId))))
      await rm(join(steps, name), { force: true });
  }
}

/** For people. */
function itemsOf(store: Inventory, plan: PrunePlan): PrunedItem[] {
  const at = (ms: number) => (ms > 0 ? new Date(ms).toISOString() : null);
  const named = new Map(store.names.map(({ image, name }) => [image, name]));
  const gone = new Set(plan.downloads);
  const downloads = store.downloads.filter(({ id }) => gone.has(id));
  return [
    ...store.templates
      .filter(({ id }) => plan.templates.includes(id))
      .map(({ id, bytes, usedAtMs, image, damaged }) => ({
        kind: 'template' as const,
        id,
        what: damaged ? 'damaged' : (named.get(image) ?? ''),
        bytes,
        usedAt: at(usedAtMs),
      })),
    ...plan.images.map((id) => ({
      kind: 'image' as const,
      id,
      what: named.get(id) ?? '',
      bytes: store.images.get(id)!.bytes,
      usedAt: null,
    })),
    ...plan.layers.map((id) => ({
      kind: 'layer' as const,
      id,
      what: '',
      bytes: store.layers.get(id)!,
      usedAt: null,
    })),
    ...plan.kernels.map((id) => ({
      kind: 'kernel' as const,
      id,
      what: '',
      bytes: store.kernels.get(id)!,
      usedAt: null,
    })),
    ...store.caches
      .filter(({ id }) => plan.caches.includes(id))
      .map(({ id, bytes, usedAtMs }) => ({
        kind: 'build-cache' as const,
        id,
        what: '',
        bytes,
        usedAt: at(usedAtMs),
      })),
    ...(downloads.length === 0
      ? []
      : [
          {
            kind: 'downloads' as const,
            id: `${downloads.length} files`,
            what: '',
            bytes: downloads.reduce((sum, { bytes }) => sum + bytes, 0),
            usedAt: at(Math.max(...downloads.map(({ usedAtMs }) => usedAtMs))),
          },
        ]),
  ];
}
