// A sandbox before it has a machine: its record and folder; and taking both back.

import { mkdir, rm } from 'node:fs/promises';
import { sandboxesFolder, sandboxFiles } from '../host/layout.ts';
import { newMachineId } from '../machine/identity.ts';
import type { Repository } from '../repo/index.ts';
import type { Conductor } from './conductor.ts';
import { GUEST_FOLDER } from './naming.ts';
import { type RulesFile, writeRulesFile } from './network/rules-file.ts';
import { type SandboxRecord, writeRecord } from './record.ts';
import type { Sandbox } from './sandboxes.ts';

/** The conductor knows it before anything is waited for, so its name is taken from now on. */
export async function create(
  conductor: Conductor,
  what: {
    name: string;
    repository: Repository | null;
    size: { cpus: number; memoryMib: number; diskGib: number };
    network: RulesFile;
  },
): Promise<Sandbox> {
  const { name, repository, size } = what;
  const id = conductor.newId();
  const files = sandboxFiles(conductor.rooms.layout, id);
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
  const sandbox = conductor.add(record, null);
  try {
    await mkdir(sandboxesFolder(conductor.rooms.layout), { recursive: true, mode: 0o700 });
    await mkdir(files.machine.folder, { recursive: true, mode: 0o700 });
    await writeRulesFile(files.door.policy, what.network);
    await writeRecord(conductor.rooms.layout, record);
    await conductor.journal(sandbox, 'created', { name, ...size, repository: repository?.root ?? null });
    return sandbox;
  } catch (error) {
    await discard(conductor, sandbox);
    throw error;
  }
}

/** Takes back a sandbox that never came up. `writing`: what may still write into its folder. */
export async function discard(
  conductor: Conductor,
  sandbox: Sandbox,
  writing: Promise<unknown> | null = null,
): Promise<void> {
  // From now on nobody takes it for one that runs, and a daemon that ends meanwhile has the next one sweep it away.
  await conductor.update(sandbox, { state: 'removing' }).catch(() => {
    sandbox.record = { ...sandbox.record, state: 'removing' };
  });
  await writing?.catch(() => {});
  const { machine } = sandbox;
  sandbox.machine = null;
  await conductor.doors.close(sandbox.record.id);
  await machine?.kill();
  // The last words of a VMM may still come into its log.
  await rm(conductor.files(sandbox).folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  conductor.forget(sandbox);
}
