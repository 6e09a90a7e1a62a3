// Builds a template in a temporary folder and renames it into place: a crash or a cancellation at any moment
// leaves no template, and two builders of the same key leave two whole ones. It begins with a boot, or with another
// template: its memory and disk are copied, and the copy goes on from there.

import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolderAtomic } from '../host/atomic-file.ts';
import { ensureRoom } from '../host/disk-space.ts';
import { machineSockets, templateFiles } from '../host/layout.ts';
import { run } from '../host/run.ts';
import { makeWorkFolder } from '../host/work-folder.ts';
import { WarrenError } from '../protocol/error.ts';
import type { BoxOptions } from './confine.ts';
import type { Accelerator, Driver, DriverFound, Layer, MachineSpec } from './driver.ts';
import { newMachineId } from './identity.ts';
import { Machine } from './machine.ts';
import { makeDisk } from './make-disk.ts';
import { endedByFullDisk } from './out-of-room.ts';
import {
  openTemplate,
  type Template,
  type TemplateKey,
  type TemplateRecord,
  type TemplateSettings,
  templateDigest,
} from './template.ts';

/** What a new template's disk holds: ext4's own tables, its journal, what the first boot writes. */
const DISK_ROOM_MIB = 128;
/** A machine is booted in seconds; rarely, on a very busy computer, one never says anything, and the next one does. */
const FIRST_TRY_MS = 90_000;
const LAST_TRY_MS = 120_000;

export interface TemplateRequest {
  /** Of its machine: what a later daemon finds the VMM by, should this one die. */
  id: string;
  driver: Driver;
  found: DriverFound;
  box: BoxOptions;
  key: TemplateKey;
  accelerator: Accelerator;
  clock: { tscKhz?: number };
  kernel: { vmlinuz: string; initramfs: string };
  layers: Layer[];
  settings: TemplateSettings;
  /** Where to go on from; null: from a boot. */
  from: Template | null;
  /** Runs in the machine before it is frozen; answers what `prepared` of the record shall say. */
  work: (machine: Machine) => Promise<unknown>;
  /** The store's folder of templates. */
  folder: string;
  /** Gets what VMM and console said when the build fails. */
  logFile: string;
  signal?: AbortSignal;
  onProgress?: (step: string) => void;
}

export async function buildTemplate(request: TemplateRequest): Promise<Template> {
  const { key, folder, signal, onProgress = () => {} } = request;
  const id = `${templateDigest(key)}.${randomBytes(4).toString('hex')}`;
  const runtime = await makeWorkFolder('template');
  const startedMs = performance.now();
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await ensureRoom(folder, key.memoryMib + DISK_ROOM_MIB, 'a template');
    await makeFolderAtomic(join(folder, id), async (temporary) => {
      const files = templateFiles(temporary);
      let isAwake = false;
      const work = async (machine: Machine) => {
        isAwake = true;
        return await request.work(machine);
      };
      const attempt = async (timeoutMs: number) => {
        onProgress('making the disk');
        await makeFiles(files, request);
        return await startAndFreeze({ ...request, work }, files, runtime, timeoutMs);
      };
      const { bootMs, prepared } = await attempt(FIRST_TRY_MS).catch(async (error: unknown) => {
        // What was begun in it may not be done twice.
        if (isAwake || WarrenError.from(error).code !== 'machine.agent-silent') throw error;
        for (const name of await readdir(temporary)) await rm(join(temporary, name));
        onProgress('its machine says nothing: starting another');
        return await attempt(LAST_TRY_MS);
      });
      signal?.throwIfAborted();
      const record: TemplateRecord = {
        key,
        createdAt: new Date().toISOString(),
        buildMs: Math.round(performance.now() - startedMs),
        bootMs: Math.round(bootMs),
        kernel: request.kernel,
        layers: request.layers,
        settings: request.settings,
        ...(prepared !== undefined && { prepared }),
        sizes: {
          memory: await seal(files.memory),
          device: await seal(files.device),
          disk: await seal(files.disk),
          overlay: await seal(files.overlay),
        },
      };
      await writeFile(files.record, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o444 });
      await chmod(temporary, 0o755);
    });
    return await openTemplate(join(folder, id));
  } catch (error) {
    throw await keepWords(error, runtime, request.logFile);
  } finally {
    await rm(runtime, { recursive: true, force: true });
  }
}

/** The build's folder goes: what was said in it is kept where the error points to. */
async function keepWords(cause: unknown, runtime: string, logFile: string): Promise<WarrenError> {
  const shape = WarrenError.from(cause).toJSON();
  if (!shape.log?.startsWith(`${runtime}/`)) return WarrenError.from(cause);
  const said = await Promise.all(
    ['vmm.log', 'console.log'].map((name) => readFile(join(runtime, name), 'utf8').catch(() => '')),
  );
  await writeFile(logFile, said.join('\n'), { mode: 0o600 }).catch(() => {});
  return new WarrenError({ ...shape, log: logFile }, { cause });
}

async function makeFiles(
  files: ReturnType<typeof templateFiles>,
  { key, from, signal }: TemplateRequest,
): Promise<void> {
  const options = signal ? { signal } : {};
  await writeFile(files.device, '', { mode: 0o600 });
  if (from) {
    for (const name of ['memory', 'disk'] as const) {
      const copy = ['--sparse=always', '--reflink=auto', '--no-preserve=mode', from.files[name], files[name]];
      await run('cp', copy, options);
      await chmod(files[name], 0o600);
    }
  } else {
    await writeFile(files.memory, '', { mode: 0o600 });
    await truncate(files.memory, key.memoryMib * 1024 * 1024);
    await makeDisk(files.disk, key.diskGib, options);
  }
  // Only its header and tables are copied for each machine; the backing file is always named explicitly.
  await run(
    'qemu-img',
    ['create', '-q', '-f', 'qcow2', '-b', files.disk, '-F', 'raw', files.overlay],
    options,
  );
}

/** Answers how long it took to the agent's first answer, in ms. */
async function startAndFreeze(
  request: TemplateRequest,
  files: ReturnType<typeof templateFiles>,
  runtime: string,
  timeoutMs: number,
): Promise<{ bootMs: number; prepared: unknown }> {
  const { driver, found, box, key, onProgress = () => {} } = request;
  const spec: MachineSpec = {
    id: request.id,
    cpus: key.cpus,
    memoryMib: key.memoryMib,
    accelerator: request.accelerator,
    ...request.clock,
    kernel: request.kernel,
    layers: request.layers,
    disk: { kind: 'raw', file: files.disk },
    diskGib: key.diskGib,
    memory: { file: files.memory, shared: true },
    ...(request.from && { restore: { device: request.from.files.device } }),
    freezeTo: files.device,
    sockets: machineSockets(join(runtime, 'sockets')),
  };
  onProgress(request.from ? 'starting' : 'booting');
  const startedMs = performance.now();
  const machine = await Machine.start(driver, found, spec, box, {
    vmmLog: join(runtime, 'vmm.log'),
    console: join(runtime, 'console.log'),
  });
  const cancel = () => void machine.kill();
  request.signal?.addEventListener('abort', cancel, { once: true });
  let isDiskFull = false;
  machine.once('diskFull', () => {
    isDiskFull = true;
    cancel();
  });
  try {
    await machine.awaken({ hostname: 'warren', machineId: newMachineId() }, timeoutMs);
    const bootMs = performance.now() - startedMs;
    const prepared = await request.work(machine);
    onProgress('freezing');
    const link = await machine.link();
    await link.json('/warren/quiesce', { method: 'POST', body: {}, timeoutMs: 60_000 });
    await machine.detach();
    await machine.pause();
    const { restore: _, ...frozen } = spec;
    await machine.saveDevice({ driver, probe: found, spec: frozen, box });
    await machine.quit();
    return { bootMs, prepared };
  } catch (error) {
    if (request.signal?.aborted)
      throw new WarrenError({ code: 'usage.cancelled', message: 'cancelled' }, { cause: error });
    if (isDiskFull || (await endedByFullDisk(machine, request.folder)))
      throw new WarrenError(
        {
          code: 'machine.disk-full',
          message: "cannot make the template: this computer's disk is full",
          remedy: 'free some: warren prune',
        },
        { cause: error },
      );
    throw error;
  } finally {
    request.signal?.removeEventListener('abort', cancel);
    await machine.kill();
  }
}

/** On disk for good, and read-only from now on. Answers its size in bytes. */
async function seal(file: string): Promise<number> {
  const handle = await open(file, 'r+');
  await handle.sync();
  await handle.close();
  await chmod(file, 0o444);
  return (await stat(file)).size;
}
