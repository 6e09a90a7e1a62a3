// What `RUN --mount=type=cache` keeps is on the disk of a builder machine: taken when a build of the same context begins,
// put back when it ends, also by the next daemon when it ends with this one.

import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { buildCacheFiles, buildFiles, type Layout } from '../../host/layout.ts';

/** `builds/ID/caches.json`. */
interface CachesRecord {
  context: string;
}

/**
 * Makes the caches of a context the disk of a build; false: there are none. Of two builds at once the second one starts
 * without, and the last to end leaves its own.
 */
export async function takeCaches(layout: Layout, id: string, context: string): Promise<boolean> {
  const { disk, caches } = buildFiles(layout, id);
  // First: whoever finds the disk knows whose it is.
  await claimDisk(layout, id, context);
  try {
    await rename(buildCacheFiles(layout, context).disk, disk);
    return true;
  } catch {
    await rm(caches, { force: true });
    return false;
  }
}

/** The disk of a build is whole, and will hold the caches of this context. */
export async function claimDisk(layout: Layout, id: string, context: string): Promise<void> {
  const record: CachesRecord = { context };
  await writeFile(buildFiles(layout, id).caches, JSON.stringify(record), { mode: 0o600 });
}

/** The machine is gone. A build without caches has none to keep. */
export async function keepCaches(layout: Layout, id: string): Promise<void> {
  const { disk, caches } = buildFiles(layout, id);
  const text = await readFile(caches, 'utf8').catch(() => undefined);
  if (text === undefined || !(await stat(disk).catch(() => undefined))) return;
  const { context }: CachesRecord = JSON.parse(text);
  const kept = buildCacheFiles(layout, context).disk;
  await mkdir(dirname(kept), { recursive: true, mode: 0o700 });
  await rename(disk, kept);
}
