// What a starting daemon does: reads every sandbox from disk, finds their machines again, and tidies what an
// older daemon was in the middle of when it died.

import { readdirSync, readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sweepTemporary } from '../host/atomic-file.ts';
import { archivesFolder, buildsFolder, type Layout, sandboxesFolder } from '../host/layout.ts';
import { identify, isAlive, type ProcessId, signalProcess, whenGone } from '../host/processes.ts';
import { sweepWorkFolders } from '../host/work-folder.ts';
import { Machine } from '../machine/machine.ts';
import { keepCaches } from './build/caches.ts';
import type { Conductor } from './conductor.ts';
import { readRecords, type SandboxRecord } from './record.ts';
import { erase } from './remove.ts';

const ENDED_TIMEOUT_MS = 5_000;

/** What cannot be read stays on disk, untouched, and is told by `doctor`. */
export async function reconcile(conductor: Conductor): Promise<void> {
  const { layout, storeFolders } = conductor.rooms;
  for (const folder of [
    sandboxesFolder(layout),
    archivesFolder(layout),
    ...[
      storeFolders.templates,
      storeFolders.images,
      storeFolders.kernels,
      storeFolders.layers,
      storeFolders.references,
      storeFolders.steps,
      storeFolders.features,
    ],
  ]) {
    await sweepTemporary(folder);
  }
  await sweepWorkFolders();
  await endBuilds(layout);
  const { records, corrupt } = await readRecords(layout);
  await Promise.all(records.map((record) => take(conductor, record)));
  conductor.unreadable = corrupt;
}

/** A build ends with its daemon; results of its steps and what is in its caches are kept. */
async function endBuilds(layout: Layout): Promise<void> {
  const folder = buildsFolder(layout);
  for (const id of await readdir(folder).catch(() => [])) {
    const ended = endStrays(id);
    // Two machines must never have one disk.
    await Promise.all(ended.map((stray) => whenGone(stray, ENDED_TIMEOUT_MS)));
    await keepCaches(layout, id).catch(() => {});
    await rm(join(folder, id), { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  }
}

async function take(conductor: Conductor, record: SandboxRecord): Promise<void> {
  if (record.state === 'creating' || record.state === 'removing') {
    endStraysOf(record);
    await erase(conductor, conductor.add(record, null));
    return;
  }
  if (record.state === 'stopped' || record.state === 'crashed') {
    endStraysOf(record);
    conductor.add(record, null);
    return;
  }
  const machine =
    record.machine && (await Machine.adopt(conductor.rooms.driver, record.machine).catch(() => null));
  const sandbox = conductor.add(record, machine);
  const { setup } = record;
  // Nobody hears how it ends any more, and what comes after it was not begun.
  if (setup?.state === 'running')
    await conductor.update(sandbox, {
      setup: { ...setup, state: 'failed', why: 'the daemon ended meanwhile' },
    });
  if (machine) {
    // A paused one answers when it is resumed.
    if (await machine.stoppedByFullDisk().catch(() => false)) await conductor.diskFull(sandbox);
    else if (record.state === 'running') conductor.doors.keep(sandbox, machine);
    return;
  }
  endStraysOf(record);
  await conductor.update(
    sandbox,
    { state: 'crashed', machine: null, note: 'its VMM was gone when the daemon looked for it' },
    'crashed',
  );
}

/** Ends the VMM of a record, also one that it does not know: started by a daemon that died. */
function endStraysOf(record: SandboxRecord): void {
  if (record.machine && isAlive(record.machine.vmm)) signalProcess(record.machine.vmm, 'SIGKILL');
  endStrays(record.id);
}

function endStrays(id: string): ProcessId[] {
  const ended: ProcessId[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stray = vmmOf(Number(entry), id);
    if (!stray) continue;
    signalProcess(stray, 'SIGKILL');
    ended.push(stray);
  }
  return ended;
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
