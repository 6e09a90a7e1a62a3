// Starts the machine of a sandbox: restored from its template's memory, or booted from its own disk.

import { chmod, copyFile, mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { machineRuntimeFolder, machineSockets } from '../host/layout.ts';
import { run } from '../host/run.ts';
import type { Accelerator, MachineSpec } from '../machine/driver.ts';
import { Machine } from '../machine/machine.ts';
import type { Template } from '../machine/template.ts';
import { WarrenError } from '../protocol/error.ts';
import type { Conductor } from './conductor.ts';
import type { Rooms } from './rooms.ts';
import type { Sandbox } from './sandboxes.ts';

/**
 * How long an agent may take. On a very busy computer an emulated machine was seen, rarely, to come up and never say
 * anything: the first try is given up early, at many times what it takes.
 */
const FIRST_TRY_MS = { restore: 30_000, boot: 90_000 };
const LAST_TRY_MS = 120_000;

/**
 * Returns once the machine knows who it is; answers when its agent first answered, in ms. A machine that does not
 * come up is ended, not used, and another one is started in its place, once.
 */
export async function startMachine(
  conductor: Conductor,
  sandbox: Sandbox,
  template: Template,
  accelerator: Accelerator,
  how: 'restore' | 'boot',
): Promise<{ answeredMs: number }> {
  try {
    return await startOnce(conductor, sandbox, template, accelerator, how, FIRST_TRY_MS[how]);
  } catch (error) {
    const { code, message } = WarrenError.from(error);
    if (code !== 'machine.agent-silent') throw error;
    await conductor.journal(sandbox, 'silent', { how, message });
    return await startOnce(conductor, sandbox, template, accelerator, how, LAST_TRY_MS);
  }
}

async function startOnce(
  conductor: Conductor,
  sandbox: Sandbox,
  template: Template,
  accelerator: Accelerator,
  how: 'restore' | 'boot',
  timeoutMs: number,
): Promise<{ answeredMs: number }> {
  const startedMs = performance.now();
  const { rooms } = conductor;
  const { record } = sandbox;
  const files = conductor.files(sandbox).machine;
  const runtime = machineRuntimeFolder(rooms.layout, record.id);
  await rm(runtime, { recursive: true, force: true });
  await mkdir(runtime, { recursive: true, mode: 0o700 });
  if (how === 'restore') {
    await copyFile(template.files.overlay, files.disk);
    await chmod(files.disk, 0o600);
  }
  const spec: MachineSpec = {
    id: record.id,
    cpus: record.cpus,
    memoryMib: record.memoryMib,
    accelerator,
    ...(await rooms.clock()),
    kernel: template.record.kernel,
    layers: template.record.layers,
    disk: { kind: 'overlay', file: files.disk, base: template.files.disk },
    diskGib: record.diskGib,
    memory:
      how === 'restore'
        ? { file: await templateMemory(rooms, template, files.memory), shared: false }
        : { file: await freshMemory(files.memory, record.memoryMib), shared: true },
    ...(how === 'restore' && { restore: { device: template.files.device } }),
    sockets: machineSockets(runtime),
  };
  const machine = await Machine.start(rooms.driver, await rooms.found(), spec, await rooms.box(record.id), {
    vmmLog: files.vmmLog,
    console: files.console,
  });
  let answeredMs: number;
  try {
    await conductor.update(sandbox, { machine: machine.record });
    const linked = machine.link(timeoutMs).then(
      () => Math.round(performance.now() - startedMs),
      () => 0,
    );
    await machine.awaken({ hostname: record.name, machineId: record.machineId }, timeoutMs);
    answeredMs = await linked;
    // The door is there before the first program is.
    await conductor.doors.open(sandbox, machine);
  } catch (error) {
    await conductor.doors.close(record.id);
    await machine.kill();
    await conductor.update(sandbox, { machine: null }).catch(() => {});
    throw error;
  }
  conductor.watch(sandbox, machine);
  return { answeredMs };
}

/** A VMM that needs its memory file writable gets a copy: a template's own is written by nobody. */
async function templateMemory(rooms: Rooms, template: Template, own: string): Promise<string> {
  if ((await rooms.found()).readonlyMemory) return template.files.memory;
  await run('cp', ['--sparse=always', '--reflink=auto', '--no-preserve=mode', template.files.memory, own]);
  return own;
}

/** A booted machine's memory is a sparse file of its own, removed with the machine. */
async function freshMemory(file: string, memoryMib: number): Promise<string> {
  await rm(file, { force: true });
  await writeFile(file, '', { mode: 0o600 });
  await truncate(file, memoryMib * 1024 * 1024);
  return file;
}
