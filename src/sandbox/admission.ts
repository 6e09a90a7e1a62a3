// Says no before the host is out of memory: the machines' memory, all added up, must fit into this computer's
// with a reserve. Restored machines share most of it, so this errs towards safety.

import { totalmem } from 'node:os';
import { WarrenError } from '../protocol/error.ts';
import type { Conductor } from './conductor.ts';
import type { Size } from './templates.ts';

/** Left to the host and to the VMMs themselves. */
const RESERVE_MIB = 1024;

export function admit(conductor: Conductor, size: Size): void {
  const running = conductor
    .list()
    .filter(({ record }) => ['creating', 'running', 'paused'].includes(record.state));
  const usedMib = running.reduce((sum, { record }) => sum + record.memoryMib, 0);
  refuseOverCommit(size.memoryMib, usedMib, running.length, Math.floor(totalmem() / 1024 ** 2));
}

/** Pure. Throws `sandbox.no-memory` with the figures. */
export function refuseOverCommit(
  wantedMib: number,
  usedMib: number,
  running: number,
  totalMib: number,
): void {
  const limitMib = totalMib - RESERVE_MIB;
  if (wantedMib > limitMib) {
    throw new WarrenError({
      code: 'sandbox.no-memory',
      message: `cannot give a sandbox ${wantedMib} MiB: this computer has ${totalMib} MiB, ${RESERVE_MIB} of which stay its own`,
      remedy: `warren up --memory ${Math.min(1024, limitMib)}`,
    });
  }
  if (usedMib + wantedMib > limitMib) {
    throw new WarrenError({
      code: 'sandbox.no-memory',
      message: `cannot give a sandbox ${wantedMib} MiB: ${running} running ones have ${usedMib} of ${limitMib} MiB`,
      remedy: 'stop one (warren ls, warren stop NAME), or ask for less with --memory',
    });
  }
}
