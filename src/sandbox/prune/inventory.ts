// What the store holds: sizes, times of last use, and what needs what.

import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { changedMs, partsOf, takenBytes, treeBytes } from '../../host/folder-parts.ts';
import { buildCachesFolder, imageFiles } from '../../host/layout.ts';
import { readJson } from '../../host/read-json.ts';
import { filesOfImages, knownNames } from '../../image/index.ts';
import type { TemplateView } from '../../protocol/api.ts';
import { archives } from '../archive.ts';
import type { Conductor } from '../conductor.ts';
import { preparedOf } from '../prepare/preparation.ts';
import type { Inventory, StoredCache, StoredName, StoredPart, StoredTemplate } from './plan.ts';

export async function takeInventory(conductor: Conductor): Promise<Inventory> {
  const { storeFolders, layout } = conductor.rooms;
  const [templates, names, images, layers, kernels, caches, downloads, archived] = await Promise.all([
    storedTemplates(conductor),
    storedNames(storeFolders.references),
    storedImages(storeFolders.images),
    partsOf(storeFolders.layers),
    partsOf(storeFolders.kernels),
    Promise.all([
      storedCaches(buildCachesFolder(layout)),
      storedCaches(storeFolders.features, { staysLately: true }),
    ]),
    storedDownloads(storeFolders.downloads),
    archives(layout),
  ]);
  return { templates, names, images, layers, kernels, caches: caches.flat(), downloads, archives: archived };
}

export function usedTemplates(conductor: Conductor): Map<string, string[]> {
  const used = new Map<string, string[]>();
  for (const { record } of conductor.list()) {
    used.set(record.template, [...(used.get(record.template) ?? []), record.name]);
  }
  return used;
}

async function storedTemplates(conductor: Conductor): Promise<StoredTemplate[]> {
  const used = usedTemplates(conductor);
  const views = await conductor.templates.list((id) => used.get(id) ?? []);
  return await Promise.all(views.map((view) => storedTemplate(conductor, view)));
}

async function storedTemplate(conductor: Conductor, view: TemplateView): Promise<StoredTemplate> {
  const { id, cpus, memoryMib, diskGib, usedBy: users } = view;
  const folder = join(conductor.rooms.storeFolders.templates, id);
  const record = view.damaged === null ? (await conductor.templates.get(id)).record : undefined;
  const [layer = ''] = record?.layers ?? [];
  return {
    id,
    bytes: await treeBytes(folder),
    usedAtMs: Date.parse(view.usedAt) || 0,
    createdAtMs: Date.parse(view.createdAt) || 0,
    users,
    damaged: view.damaged !== null,
    kind: JSON.stringify([cpus, memoryMib, diskGib, (record && preparedOf(record)?.root) ?? null]),
    image: record ? basename(dirname([layer].flat()[0]!)) : '',
    layers: record ? record.layers.flat().map((file) => basename(file)) : [],
    // Of shared layers: it was pulled or built, and a name stood for it.
    isNamed: typeof layer !== 'string',
    kernel: record ? basename(dirname(record.kernel.vmlinuz)) : '',
  };
}

async function storedNames(folder: string): Promise<StoredName[]> {
  const names = await knownNames(folder);
  return await Promise.all(
    names.map(async ({ dockerfile, ...name }) => ({
      ...name,
      isGone: dockerfile !== null && !(await stat(dockerfile).catch(() => undefined)),
    })),
  );
}

async function storedImages(folder: string): Promise<Inventory['images']> {
  const images = new Map<string, StoredPart & { layers: string[] }>();
  for (const [name, part] of await partsOf(folder)) {
    const files = await filesOfImages([join(folder, name)]);
    images.set(name, { ...part, layers: [...files].filter((file) => file !== name) });
  }
  return images;
}

/** By path. */
async function storedCaches(folder: string, more: Partial<StoredCache> = {}): Promise<StoredCache[]> {
  const caches = [...(await partsOf(folder))].map(async ([name, { bytes }]) => {
    const id = join(folder, name);
    const files = await readdir(id).catch(() => []);
    const times = await Promise.all(files.map((file) => changedMs(join(id, file))));
    return { id, bytes, usedAtMs: Math.max(0, ...times), ...more };
  });
  return await Promise.all(caches);
}

async function storedDownloads(folder: string): Promise<StoredCache[]> {
  const found: StoredCache[] = [];
  for (const part of await readdir(folder).catch(() => []))
    for (const name of await readdir(join(folder, part)).catch(() => [])) {
      const path = join(folder, part, name);
      const at = await stat(path).catch(() => undefined);
      if (at) found.push({ id: path, bytes: takenBytes(at), usedAtMs: at.mtimeMs });
    }
  return found;
}

/** For people: what an image was made of. */
export async function imageOrigin(folder: string): Promise<string | null> {
  const record = (await readJson(imageFiles(folder).record)) as { from?: unknown } | undefined;
  return typeof record?.from === 'string' ? record.from : null;
}
