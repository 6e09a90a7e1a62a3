// `up`, the first walk: repo → environment → image → template → machine → agent. Until the record says
// `running`, whatever fails or is cancelled takes everything that was made with it.

import { mkdir, rm } from 'node:fs/promises';
import { sandboxesFolder, sandboxFiles } from '../host/layout.ts';
import { newMachineId } from '../machine/identity.ts';
import type { UpRequest, UpResult } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import { parseName } from '../protocol/names.ts';
import { openRepository, type Repository } from '../repo/index.ts';
import { admit } from './admission.ts';
import { carryIn, prepareCarry } from './carry-in.ts';
import type { Conductor, Sandbox } from './conductor.ts';
import { startMachine } from './machines.ts';
import { chooseName } from './naming.ts';
import { type SandboxRecord, viewOf, writeRecord } from './record.ts';
import type { OnProgress } from './rooms.ts';
import { settingsFor } from './settings.ts';

const GUEST_FOLDER = '/workspaces';

export async function up(
  conductor: Conductor,
  request: UpRequest,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<UpResult> {
  const timings: Record<string, number> = {};
  const repository = request.path === null ? null : await openRepository(request.path);
  const existing = findExisting(conductor, request, repository);
  if (existing)
    return { sandbox: viewOf(existing.record), created: false, withheld: null, notices: [], timings };

  const settings = await settingsFor(repository, request);
  const size = { cpus: settings.cpus, memoryMib: settings.memoryMib, diskGib: settings.diskGib };
  admit(conductor, size);
  const name = request.name === null ? chooseName(conductor, repository) : parseName(request.name);
  const sandbox = await timed(timings, 'prepareMs', () => create(conductor, { name, repository, size }));
  const carrying = repository
    ? prepareCarry(conductor, sandbox, repository, settings.carry, onProgress, signal)
    : null;
  carrying?.catch(() => {});
  try {
    const { template, accelerator, imageId, imageUser } = await timed(timings, 'templateMs', () =>
      conductor.templates.ensure(settings.environment, size, onProgress, signal),
    );
    signal.throwIfAborted();
    await conductor.update(sandbox, {
      template: template.id,
      image: imageId,
      accelerator: accelerator.kind,
      user: imageUser,
      workdir: sandbox.record.repository?.guestPath ?? `/home/${imageUser}`,
    });
    await timed(timings, 'restoreMs', () =>
      startMachine(conductor, sandbox, template, accelerator, 'restore'),
    );
    signal.throwIfAborted();
    const plan = await carrying;
    if (plan) await timed(timings, 'repoMs', () => carryIn(conductor, sandbox, plan, onProgress, signal));
    signal.throwIfAborted();
    await conductor.update(sandbox, { state: 'running' }, 'up', {
      timings,
      image: imageId,
      template: template.id,
    });
    return {
      sandbox: viewOf(sandbox.record),
      created: true,
      withheld: plan?.withheld ?? null,
      notices: await noticesOf(conductor),
      timings,
    };
  } catch (error) {
    await carrying?.then((plan) => plan.dispose()).catch(() => {});
    await discard(conductor, sandbox);
    if (signal.aborted)
      throw new WarrenError({ code: 'usage.cancelled', message: 'cancelled' }, { cause: error });
    throw error;
  }
}

/** A sandbox that already answers to the request; a taken name that does not fit is an error. */
function findExisting(
  conductor: Conductor,
  request: UpRequest,
  repository: Repository | null,
): Sandbox | undefined {
  const wanted = request.name === null ? undefined : parseName(request.name);
  const root = repository?.root ?? null;
  if (wanted === undefined) {
    return request.fresh || root === null
      ? undefined
      : conductor.list().find(({ record }) => record.repository?.root === root);
  }
  const taken = conductor.find(wanted);
  if (!taken) return undefined;
  if (!request.fresh && (taken.record.repository?.root ?? null) === root) return taken;
  throw new WarrenError({
    code: 'sandbox.name-taken',
    message: `cannot make sandbox "${wanted}": the name is taken${taken.record.repository ? ` by one of ${taken.record.repository.root}` : ''}`,
    remedy: `choose another --name, or: warren rm ${wanted}`,
  });
}

async function create(
  conductor: Conductor,
  what: {
    name: string;
    repository: Repository | null;
    size: { cpus: number; memoryMib: number; diskGib: number };
  },
): Promise<Sandbox> {
  const { name, repository, size } = what;
  const id = conductor.newId();
  const files = sandboxFiles(conductor.rooms.layout, id);
  await mkdir(sandboxesFolder(conductor.rooms.layout), { recursive: true, mode: 0o700 });
  await mkdir(files.machine.folder, { recursive: true, mode: 0o700 });
  const record: SandboxRecord = {
    version: 1,
    id,
    name,
    state: 'creating',
    createdAt: new Date().toISOString(),
    repository: repository && {
      root: repository.root,
      guestPath: `${GUEST_FOLDER}/${repository.name}`,
      branch: `warren/${name}`,
      base: repository.head,
      submodules: [],
    },
    image: '',
    template: '',
    accelerator: '',
    ...size,
    user: 'user',
    workdir: '/',
    machineId: newMachineId(),
    machine: null,
    handback: null,
    left: null,
    note: null,
  };
  await writeRecord(conductor.rooms.layout, record);
  const sandbox = conductor.add(record, null);
  await conductor.journal(sandbox, 'created', { name, ...size, repository: repository?.root ?? null });
  return sandbox;
}

/** Takes back a sandbox that never came up. */
async function discard(conductor: Conductor, sandbox: Sandbox): Promise<void> {
  const { machine } = sandbox;
  sandbox.machine = null;
  await machine?.kill();
  await rm(conductor.files(sandbox).folder, { recursive: true, force: true });
  conductor.forget(sandbox);
}

async function noticesOf(conductor: Conductor): Promise<string[]> {
  const confinement = await conductor.rooms.confinement();
  return confinement.namespaces
    ? []
    : [
        `the VMM runs without namespaces of its own: ${confinement.why ?? 'bwrap does not work here'} (warren doctor)`,
      ];
}

async function timed<T>(timings: Record<string, number>, name: string, work: () => Promise<T>): Promise<T> {
  const startedMs = performance.now();
  try {
    return await work();
  } finally {
    timings[name] = Math.round(performance.now() - startedMs);
  }
}
