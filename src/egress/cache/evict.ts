// Keeps the folder of downloads within its size: what was asked for longest ago goes first. Several processes may do so
// at once; a file that is being read stays readable until it is closed.

import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Down to this part, so that it is not done for each file. */
const DOWN_TO = 0.9;

/** Answers how many bytes are left. */
export async function evict(folder: string, maxBytes: number): Promise<number> {
  const files = await filesIn(folder);
  let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  if (bytes <= maxBytes) return bytes;
  files.sort((a, b) => a.usedAtMs - b.usedAtMs);
  for (const file of files) {
    if (bytes <= maxBytes * DOWN_TO) break;
    await rm(file.path, { force: true });
    bytes -= file.bytes;
  }
  return bytes;
}

async function filesIn(folder: string): Promise<{ path: string; bytes: number; usedAtMs: number }[]> {
  const found = [];
  for (const part of await readdir(folder).catch(() => [])) {
    for (const name of await readdir(join(folder, part)).catch(() => [])) {
      const path = join(folder, part, name);
      const { size, mtimeMs } = (await stat(path).catch(() => null)) ?? {};
      // A copy that is being written counts and stays: its writer, or the next process, removes it.
      if (size === undefined || mtimeMs === undefined) continue;
      found.push({ path, bytes: size, usedAtMs: name.startsWith('.') ? Number.POSITIVE_INFINITY : mtimeMs });
    }
  }
  return found;
}
