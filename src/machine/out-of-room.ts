// Memory that finds no room in its file ends the VMM by SIGBUS, and nothing tells why: the end and the full disk are
// put together here.

import { setTimeout as sleep } from 'node:timers/promises';
import { freeMib } from '../host/disk-space.ts';
import type { Machine } from './machine.ts';

/** Less is as good as nothing. */
const OUT_OF_ROOM_MIB = 16;
/** The channel tells of the end first: the VMM is there until the kernel has taken its memory back. */
const ENDING_MS = 5000;
const LOOK_MS = 20;

/** Whether the machine, whose memory is in `folder`, was ended by a full disk. Waits only while the disk is full. */
export async function endedByFullDisk(
  machine: Pick<Machine, 'alive'>,
  folder: string,
  freeNow = freeMib,
): Promise<boolean> {
  const untilMs = performance.now() + ENDING_MS;
  while ((await freeNow(folder)) < OUT_OF_ROOM_MIB) {
    if (!machine.alive) return true;
    if (performance.now() > untilMs) return false;
    await sleep(LOOK_MS);
  }
  return false;
}
