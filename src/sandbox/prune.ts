// `prune`: removes templates, images and kernels that no sandbox lies over and that no `up` would use next, and all
// downloads that doors keep.

import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { buildCachesFolder, layerFile } from '../host/layout.ts';
import { filesOfImages } from '../image/index.ts';
import type { PruneResult, TemplateView } from '../protocol/api.ts';
import type { Conductor } from './conductor.ts';

/** `all`: also what the next `up` would use (it is built again). */
export async function prune(conductor: Conductor, options: { all: boolean }): Promise<PruneResult> {
  const { storeFolders } = conductor.rooms;
  const used = usedTemplates(conductor);
  const templates = await conductor.templates.list((id) => used.get(id) ?? []);
  const images = await imagesOf(conductor, templates);
  const named = await namedImages(storeFolders.references);
  const newest = options.all ? new Set<string>() : newestOfEachSize(templates, images, named);
  const result: PruneResult = {
    templates: [],
    images: [],
    layers: [],
    kernels: [],
    downloadsBytes: 0,
    freedMib: 0,
  };
  const kept = templates.filter(
    ({ id, usedBy, damaged }) => usedBy.length > 0 || (newest.has(id) && damaged === null),
  );
  for (const template of templates) {
    if (kept.includes(template)) continue;
    await conductor.templates.remove(template.id);
    result.templates.push(template.id);
    result.freedMib += template.sizeMib;
  }
  // By the files that they read: their machines are restored from those very files.
  const keptFiles = await filesOfImages(kept.flatMap(({ id }) => images.get(id)?.folder ?? []));
  const keptKernels = new Set(kept.map(({ kernel }) => basename(dirname(kernel))));
  for (const [kind, folder, keep] of [
    ['images', storeFolders.images, keptFiles],
    ['layers', storeFolders.layers, keptFiles],
    ['kernels', storeFolders.kernels, keptKernels],
  ] as const) {
    if (kind !== 'kernels' && conductor.templates.images.areMade) continue;
    for (const name of await readdir(folder).catch(() => [])) {
      if (name.startsWith('.') || keep.has(name) || (kept.length === 0 && !options.all)) continue;
      result.freedMib += await sizeMib(join(folder, name));
      await rm(join(folder, name), { recursive: true, force: true });
      result[kind].push(name);
    }
  }
  await forgetNames(storeFolders.references, storeFolders.images);
  if (!conductor.templates.images.areMade) {
    await forgetSteps(storeFolders.steps, storeFolders.layers);
    await rm(storeFolders.features, { recursive: true, force: true });
    const caches = buildCachesFolder(conductor.rooms.layout);
    result.freedMib += await sizeMib(caches);
    await rm(caches, { recursive: true, force: true });
  }
  result.downloadsBytes = await removeDownloads(storeFolders.downloads);
  result.freedMib += result.downloadsBytes / 1024 ** 2;
  conductor.rooms.forgetStore();
  conductor.templates.images.forget();
  return { ...result, freedMib: Math.round(result.freedMib) };
}

interface TemplateImage {
  folder: string;
  /** Of shared layers: it was pulled, and a name stands for it. */
  isPulled: boolean;
}

async function imagesOf(
  conductor: Conductor,
  templates: readonly { id: string; damaged: string | null }[],
): Promise<Map<string, TemplateImage>> {
  const found = new Map<string, TemplateImage>();
  for (const { id, damaged } of templates) {
    if (damaged !== null) continue;
    const [layer] = (await conductor.templates.get(id)).record.layers;
    if (layer === undefined) continue;
    const isPulled = typeof layer !== 'string';
    found.set(id, { folder: dirname(isPulled ? layer[0]! : layer), isPulled });
  }
  return found;
}

/** Folders of the images that a name stands for now. */
async function namedImages(references: string): Promise<Set<string>> {
  const names = await readdir(references).catch(() => []);
  const images = names.map(async (name) => {
    const text = await readFile(join(references, name), 'utf8').catch(() => '{}');
    return (JSON.parse(text) as { image?: string }).image ?? '';
  });
  return new Set(await Promise.all(images));
}

/** A name whose image is gone is looked up again. */
async function forgetNames(references: string, images: string): Promise<void> {
  const left = new Set(await readdir(images).catch(() => []));
  for (const name of await readdir(references).catch(() => [])) {
    const text = await readFile(join(references, name), 'utf8').catch(() => '{}');
    if (!left.has((JSON.parse(text) as { image?: string }).image ?? ''))
      await rm(join(references, name), { force: true });
  }
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

/** Doors may be reading or writing them: what is open stays whole for them. */
export async function removeDownloads(folder: string): Promise<number> {
  const freedMib = await sizeMib(folder);
  await rm(folder, { recursive: true, force: true });
  return Math.round(freedMib * 1024 ** 2);
}

export function usedTemplates(conductor: Conductor): Map<string, string[]> {
  const used = new Map<string, string[]>();
  for (const { record } of conductor.list()) {
    used.set(record.template, [...(used.get(record.template) ?? []), record.name]);
  }
  return used;
}

/** What the next `up` would use: of each size the newest, for the built-in environment and for each named image. */
function newestOfEachSize(
  templates: readonly TemplateView[],
  images: ReadonlyMap<string, TemplateImage>,
  named: ReadonlySet<string>,
): Set<string> {
  const newest = new Map<string, TemplateView>();
  for (const template of templates) {
    const image = images.get(template.id);
    if (!image || (image.isPulled && !named.has(basename(image.folder)))) continue;
    const kind = image.isPulled ? image.folder : '';
    const size = `${template.cpus} ${template.memoryMib} ${template.diskGib} ${kind}`;
    const best = newest.get(size);
    if (!best || template.createdAt > best.createdAt) newest.set(size, template);
  }
  return new Set([...newest.values()].map(({ id }) => id));
}

async function sizeMib(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return 0;
  if (!found.isDirectory()) return (found.blocks * 512) / 1024 ** 2;
  const names = await readdir(path);
  const sizes = await Promise.all(names.map((name) => sizeMib(join(path, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}
