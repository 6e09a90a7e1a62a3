// stop, start, pause, resume. Stopping notes what the guest still holds, so that `rm` of a stopped sandbox can
// say what would be lost; starting boots from the sandbox's own disk.

import { rm } from 'node:fs/promises';
import { machineRuntimeFolder } from '../host/layout.ts';
import type { Machine } from '../machine/machine.ts';
import { WarrenError } from '../protocol/error.ts';
import { admit } from './admission.ts';
import type { Conductor } from './conductor.ts';
import { beginLifecycle } from './devcontainer/run-lifecycle.ts';
import { guestStatus } from './guest-git.ts';
import { next } from './lifecycle.ts';
import { startMachine } from './machines.ts';
import type { SandboxRecord } from './record.ts';
import type { Sandbox } from './sandboxes.ts';

const REAWAKEN_TIMEOUT_MS = 30_000;

/** Answers false when there was nothing to do. */
export async function stop(conductor: Conductor, sandbox: Sandbox): Promise<boolean> {
  const { state, name } = sandbox.record;
  if (next('stop', state, name) === 'already') return false;
  const { machine } = sandbox;
  if (machine) {
    if (state === 'paused') await machine.resume();
    const left = await whatIsLeft(conductor, sandbox).catch(() => null);
    sandbox.machine = null;
    await conductor.doors.close(sandbox.record.id);
    // An agent that does not end its machine in order is not waited for: the disk is journalled.
    const inOrder = await machine.powerOff().then(
      () => true,
      () => false,
    );
    await machine.kill();
    await conductor.update(sandbox, { state: 'stopped', machine: null, left, note: null }, 'stopped', {
      inOrder,
    });
  } else
    await conductor.update(sandbox, { state: 'stopped', machine: null, note: null }, 'stopped', {
      inOrder: false,
    });
  await rm(conductor.files(sandbox).machine.memory, { force: true });
  await rm(machineRuntimeFolder(conductor.rooms.layout, sandbox.record.id), { recursive: true, force: true });
  return true;
}

export async function start(conductor: Conductor, sandbox: Sandbox, signal: AbortSignal): Promise<boolean> {
  const { state, name, cpus, memoryMib, diskGib } = sandbox.record;
  if (next('start', state, name) === 'already') return false;
  if (state === 'paused') return await resume(conductor, sandbox);
  admit(conductor, { cpus, memoryMib, diskGib });
  const template = await conductor.templates.get(sandbox.record.template).catch((cause: unknown) => {
    throw new WarrenError(
      {
        code: 'sandbox.base-missing',
        message: `cannot start sandbox "${name}": ${(cause as Error).message}, and its disk lies over that template`,
        remedy: `its own part of the disk is kept in ${conductor.files(sandbox).machine.folder}`,
      },
      { cause },
    );
  });
  const kernel = await conductor.rooms.kernel(() => {});
  const accelerator = await conductor.rooms.accelerator(kernel);
  await startMachine(conductor, sandbox, template, accelerator, 'boot');
  await conductor.update(
    sandbox,
    { state: 'running', accelerator: accelerator.kind, note: null, left: null },
    'started',
  );
  await beginLifecycle(conductor, sandbox, { made: false, booted: true }, () => {}, signal);
  return true;
}

export async function pause(conductor: Conductor, sandbox: Sandbox): Promise<boolean> {
  if (next('pause', sandbox.record.state, sandbox.record.name) === 'already') return false;
  await conductor.running(sandbox).pause();
  await conductor.update(sandbox, { state: 'paused' }, 'paused');
  return true;
}

export async function resume(conductor: Conductor, sandbox: Sandbox): Promise<boolean> {
  if (next('resume', sandbox.record.state, sandbox.record.name) === 'already') return false;
  if (!sandbox.machine)
    throw new WarrenError({
      code: 'sandbox.wrong-state',
      message: `cannot resume sandbox "${sandbox.record.name}": its machine is gone`,
      remedy: `warren start ${sandbox.record.name}`,
    });
  const { machine } = sandbox;
  await wakeAgain(machine, sandbox.record);
  conductor.doors.keep(sandbox, machine);
  try {
    await conductor.update(sandbox, { state: 'running', note: null }, 'resumed');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOSPC') throw cause;
    await machine.pause().catch(() => {});
    // The record may have found room, and its line in the journal none.
    await conductor.diskFull(sandbox);
    throw stillFull(sandbox.record.name, cause);
  }
  // What came between waking and writing it down was news of a machine that was not running.
  if (await machine.stoppedByFullDisk().catch(() => false)) {
    await conductor.diskFull(sandbox);
    throw stillFull(sandbox.record.name);
  }
  return true;
}

/** A machine that does not answer stays paused, as it was. */
async function wakeAgain(machine: Machine, record: SandboxRecord): Promise<void> {
  let full = false;
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const onDiskFull = () => {
    full = true;
    reject(new Error('its disk found no room'));
  };
  try {
    await machine.resume();
    // Not before: it may still be told why it stood still.
    machine.once('diskFull', onDiskFull);
    const { name: hostname, machineId } = record;
    await Promise.race([machine.reawaken({ hostname, machineId }, REAWAKEN_TIMEOUT_MS), stopped]);
  } catch (cause) {
    await machine.pause().catch(() => {});
    if (full) throw stillFull(record.name, cause);
    throw new WarrenError(
      {
        code: 'sandbox.not-resumed',
        message: `cannot resume sandbox "${record.name}": ${(cause as Error).message}`,
        remedy: `warren resume ${record.name}; or shut it down: warren stop ${record.name}`,
      },
      { cause },
    );
  } finally {
    machine.off('diskFull', onDiskFull);
  }
}

function stillFull(name: string, cause?: unknown): WarrenError {
  return new WarrenError(
    {
      code: 'sandbox.disk-full',
      message: `cannot resume sandbox "${name}": the host's disk is still full`,
      remedy: `free some, then: warren resume ${name}`,
    },
    { cause },
  );
}

async function whatIsLeft(conductor: Conductor, sandbox: Sandbox) {
  const { repository, user } = sandbox.record;
  if (!repository) return { head: null, commits: 0, changes: 0, at: new Date().toISOString() };
  const status = await guestStatus(
    await conductor.link(sandbox),
    { path: repository.guestPath, user },
    sandbox.record.handback?.tip ?? repository.base,
    1,
  );
  return {
    head: status.head,
    commits: status.ahead,
    changes: status.changesTotal,
    at: new Date().toISOString(),
  };
}
