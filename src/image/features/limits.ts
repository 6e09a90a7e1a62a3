// How much the features of one devcontainer.json may be. What a registry or an archive sends is hostile.

import type { Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface FeatureLimits {
  /** Of one answer, which the reference implementation holds in memory. */
  answerBytes: number;
  /** On disk while they are resolved, their copy included. */
  bytes: number;
  entries: number;
}

export const FEATURE_LIMITS: FeatureLimits = {
  answerBytes: 256 * 1024 ** 2,
  bytes: 1024 ** 3,
  entries: 50_000,
};

/** What of the limits the folder goes beyond, as the end of a sentence; null: nothing. Links are not followed. */
export async function beyond(folder: string, { bytes, entries }: FeatureLimits): Promise<string | null> {
  let bytesLeft = bytes;
  let entriesLeft = entries;
  const look = async (at: string): Promise<boolean> => {
    const found: Dirent[] = await readdir(at, { withFileTypes: true }).catch(() => []);
    for (const each of found) {
      const path = join(at, each.name);
      entriesLeft--;
      // What is gone by now was little, or is where it was moved to.
      if (each.isFile()) bytesLeft -= (await lstat(path).catch(() => undefined))?.size ?? 0;
      if (entriesLeft < 0 || bytesLeft < 0) return false;
      if (each.isDirectory() && !(await look(path))) return false;
    }
    return true;
  };
  return (await look(folder)) ? null : `they unpack to more than ${bytes} bytes or ${entries} files`;
}
