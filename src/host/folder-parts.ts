// What is in a folder, how much of the disk it takes, and since when.

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** stat(2) counts in these, whatever the file system does. */
const BLOCK_BYTES = 512;

export interface Part {
  /** With all that is below it. */
  bytes: number;
  /** When the file was changed, or what a folder itself has in it. */
  madeAtMs: number;
}

/** By name; what is being written is left out. */
export async function partsOf(folder: string): Promise<Map<string, Part>> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith('.'));
  const parts = names.map(async (name): Promise<[string, Part]> => {
    const path = join(folder, name);
    return [name, { bytes: await treeBytes(path), madeAtMs: await changedMs(path) }];
  });
  return new Map(await Promise.all(parts));
}

export async function treeBytes(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return 0;
  if (!found.isDirectory()) return takenBytes(found);
  const names = await readdir(path).catch(() => []);
  const parts = await Promise.all(names.map((name) => treeBytes(join(path, name))));
  return parts.reduce((sum, bytes) => sum + bytes, 0);
}

/** 0: it is not there. */
export async function changedMs(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.mtimeMs ?? 0;
}

export function takenBytes({ blocks }: { blocks: number }): number {
  return blocks * BLOCK_BYTES;
}
