// Room on a disk, asked before something large is written: a file that QEMU maps and that finds no room ends the
// process with SIGBUS, which tells nobody anything.

import { statfs } from 'node:fs/promises';
import { WarrenError } from '../protocol/error.ts';

const MIB = 1024 ** 2;

/** Free for this user, in MiB. */
export async function freeMib(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return Math.floor((bavail * bsize) / MIB);
}

/** Throws `host.disk-full` when `folder` has less than `needMib` left for `what`. */
export async function ensureRoom(folder: string, needMib: number, what: string): Promise<void> {
  const free = await freeMib(folder);
  if (free >= needMib) return;
  throw new WarrenError({
    code: 'host.disk-full',
    message: `cannot make ${what}: it may need ${needMib} MiB, and no space left but ${free} MiB in ${folder}`,
    remedy: 'free some: warren prune; or use another disk: WARREN_STORE=/path',
    details: { needMib, freeMib: free },
  });
}
