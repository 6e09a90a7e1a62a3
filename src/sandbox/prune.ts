// `prune`: removes templates, images and kernels that no sandbox lies over and that no `up` would use next, and all
// downloads that doors keep.

import { readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { PruneResult } from '../protocol/api.ts';
import type { Conductor } from './conductor.ts';

/** `all`: also what the next `up` would use (it is built again). */
export async function prune(conductor: Conductor, options: { all: boolean }): Promise<PruneResult> {
  const { storeFolders } = conductor.rooms;
  const used = usedTemplates(conductor);
  const templates = await conductor.templates.list((id) => used.get(id) ?? []);
  const newest = options.all ? new Set<string>() : newestOfEachSize(templates);
  const result: PruneResult = { templates: [], images: [], kernels: [], downloadsBytes: 0, freedMib: 0 };
  const kept = templates.filter(
    ({ id, usedBy, damaged }) => usedBy.length > 0 || (newest.has(id) && damaged === null),
  );
  for (const template of templates) {
    if (kept.includes(template)) continue;
    await conductor.templates.remove(template.id);
    result.templates.push(template.id);
    result.freedMib += template.sizeMib;
  }
  const keptImages = new Set(kept.map(({ image }) => image));
  const keptKernels = new Set(kept.map(({ kernel }) => basename(dirname(kernel))));
  for (const [kind, folder, keep] of [
    ['images', storeFolders.images, keptImages],
    ['kernels', storeFolders.kernels, keptKernels],
  ] as const) {
    for (const name of await readdir(folder).catch(() => [])) {
      if (name.startsWith('.') || keep.has(name) || (kept.length === 0 && !options.all)) continue;
      result.freedMib += await sizeMib(join(folder, name));
      await rm(join(folder, name), { recursive: true, force: true });
      result[kind].push(name);
    }
  }
  result.downloadsBytes = await removeDownloads(storeFolders.downloads);
  result.freedMib += result.downloadsBytes / 1024 ** 2;
  conductor.rooms.forgetStore();
  return { ...result, freedMib: Math.round(result.freedMib) };
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

function newestOfEachSize(
  templates: { id: string; createdAt: string; cpus: number; memoryMib: number; diskGib: number }[],
): Set<string> {
  const newest = new Map<string, { id: string; createdAt: string }>();
  for (const template of templates) {
    const size = `${template.cpus} ${template.memoryMib} ${template.diskGib}`;
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
