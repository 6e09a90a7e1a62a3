// What a starting daemon does: reads every sandbox from disk, finds their machines again, and tidies what an
// older daemon was in the middle of when it died.

import { readdirSync, readFileSync } from 'node:fs';
import { sweepTemporary } from '../host/atomic-file.ts';
import { sandboxesFolder } from '../host/layout.ts';
import { identify, isAlive, signalProcess } from '../host/processes.ts';
import { Machine } from '../machine/machine.ts';
import type { Conductor } from './conductor.ts';
import { readRecords, type SandboxRecord } from './record.ts';
import { erase } from './remove.ts';

/** What cannot be read stays on disk, untouched, and is told by `doctor`. */
export async function reconcile(conductor: Conductor): Promise<void> {
  const { layout, storeFolders } = conductor.rooms;
  for (const folder of [
    sandboxesFolder(layout),
    ...[
      storeFolders.templates,
      storeFolders.images,
      storeFolders.kernels,
      storeFolders.layers,
      storeFolders.references,
    ],
  ]) {
    await sweepTemporary(folder);
  }
  const { records, corrupt } = await readRecords(layout);
  await Promise.all(records.map((record) => take(conductor, record)));
  conductor.unreadable = corrupt;
}

async function take(conductor: Conductor, record: SandboxRecord): Promise<void> {
  if (record.state === 'creating' || record.state === 'removing') {
    endStrays(record);
    await erase(conductor, conductor.add(record, null));
    return;
  }
  if (record.state === 'stopped' || record.state === 'crashed') {
    endStrays(record);
    conductor.add(record, null);
    return;
  }
  const machine =
    record.machine && (await Machine.adopt(conductor.rooms.driver, record.machine).catch(() => null));
  const sandbox = conductor.add(record, machine);
  if (machine) {
    // A paused one answers when it is resumed.
    if (await machine.stoppedByFullDisk().catch(() => false)) await conductor.diskFull(sandbox);
    else if (record.state === 'running') conductor.doors.keep(sandbox, machine);
    return;
  }
  endStrays(record);
  await conductor.update(
    sandbox,
    { state: 'crashed', machine: null, note: 'its VMM was gone when the daemon looked for it' },
    'crashed',
  );
}

/** Ends a VMM that the record does not know, or knows and cannot be controlled: started by a daemon that died. */
function endStrays(record: SandboxRecord): void {
  if (record.machine && isAlive(record.machine.vmm)) signalProcess(record.machine.vmm, 'SIGKILL');
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stray = vmmOf(Number(entry), record.id);
    if (stray) signalProcess(stray, 'SIGKILL');
  }
}

function vmmOf(pid: number, id: string) {
  try {
    const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const at = args.indexOf('-name');
    return at >= 0 && args[at + 1] === `warren-${id}` ? identify(pid) : undefined;
  } catch {
    return undefined;
  }
}
