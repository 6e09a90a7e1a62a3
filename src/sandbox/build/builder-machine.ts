// The machine of one build: booted from nothing but the agent, with the trees to start from as its layers, and a door of
// its own. It has no template: a build lasts longer than a boot.

import { randomBytes } from 'node:crypto';
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { ensureRoom } from '../../host/disk-space.ts';
import { buildFiles, machineRuntimeFolder, machineSockets } from '../../host/layout.ts';
import { Builder } from '../../machine/builder.ts';
import type { Layer, MachineSpec } from '../../machine/driver.ts';
import { newMachineId } from '../../machine/identity.ts';
import type { Link } from '../../machine/link/link.ts';
import { Machine } from '../../machine/machine.ts';
import { makeDisk } from '../../machine/make-disk.ts';
import { endedByFullDisk } from '../../machine/out-of-room.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { Rooms } from '../rooms.ts';
import { type BuildDoor, openBuildDoor } from './build-door.ts';
import { claimDisk, keepCaches, takeCaches } from './caches.ts';

export interface BuilderRequest {
  /** What the build reads files from; its caches are kept by it. */
  context: string;
  repository: { root: string } | null;
  /** Profiles that the steps ask for. */
  profiles: string[];
  layers: Layer[];
  /** A step has a mount of type cache. */
  caches: boolean;
  /** How long an agent may take, one machine after the other; see `machines.ts`. */
  awakenMs?: readonly number[];
  onProgress?: (step: string) => void;
  signal: AbortSignal;
}

export interface BuilderMachine extends BuildDoor {
  builder: Builder;
  link: () => Promise<Link>;
  /** Why it cannot go on; undefined: nothing is known. */
  broken(): Promise<WarrenError | undefined>;
  end(): Promise<void>;
}

const CPUS = 2;
const MEMORY_MIB = 2048;
const DISK_GIB = 32;
const AWAKEN_MS: readonly number[] = [90_000, 120_000];
/** What steps may write before anything else is said. */
const DISK_ROOM_MIB = 256;

export function newBuildId(): string {
  return `build-${randomBytes(6).toString('hex')}`;
}

/** `id` names the folder, which is there. Whatever goes wrong, no process is left; the folder is the caller's. */
export async function openBuilder(
  rooms: Rooms,
  id: string,
  request: BuilderRequest,
): Promise<BuilderMachine> {
  const { awakenMs = AWAKEN_MS, onProgress = () => {}, signal } = request;
  for (let tries = 1; ; tries++) {
    try {
      return await openOnce(rooms, id, request, awakenMs[tries - 1]!);
    } catch (error) {
      const { code } = WarrenError.from(error);
      if (code !== 'machine.agent-silent' || signal.aborted || tries === awakenMs.length) throw error;
      onProgress('its machine says nothing: starting another');
    }
  }
}

async function openOnce(
  rooms: Rooms,
  id: string,
  request: BuilderRequest,
  timeoutMs: number,
): Promise<BuilderMachine> {
  const { signal, layers, context, caches } = request;
  const files = buildFiles(rooms.layout, id);
  const runtime = machineRuntimeFolder(rooms.layout, id);
  await ensureRoom(files.folder, MEMORY_MIB + DISK_ROOM_MIB, 'a builder machine');
  await mkdir(runtime, { recursive: true, mode: 0o700 });
  if (!(caches && (await takeCaches(rooms.layout, id, context)))) {
    await makeDisk(files.disk, DISK_GIB, { signal });
    if (caches) await claimDisk(rooms.layout, id, context);
  }
  await writeFile(files.memory, '', { mode: 0o600 });
  await truncate(files.memory, MEMORY_MIB * 1024 ** 2);
  const kernel = await rooms.kernel(() => {}, signal);
  const spec: MachineSpec = {
    id,
    cpus: CPUS,
    memoryMib: MEMORY_MIB,
    accelerator: await rooms.accelerator(kernel),
    ...(await rooms.clock()),
    kernel,
    layers,
    builder: true,
    disk: { kind: 'raw', file: files.disk },
    diskGib: DISK_GIB,
    memory: { file: files.memory, shared: true },
    sockets: machineSockets(runtime),
  };
  const machine = await Machine.start(rooms.driver, await rooms.found(), spec, await rooms.box(id), {
    vmmLog: files.vmmLog,
    console: files.console,
  });
  const cancel = () => void machine.kill();
  signal.addEventListener('abort', cancel, { once: true });
  let isDiskFull = false;
  machine.once('diskFull', () => {
    isDiskFull = true;
    cancel();
  });
  const broken = async () => {
    const isFull = isDiskFull || (!signal.aborted && (await endedByFullDisk(machine, files.folder)));
    return isFull ? diskFull(files.folder) : undefined;
  };
  let door: BuildDoor | undefined;
  const end = async () => {
    signal.removeEventListener('abort', cancel);
    await door?.close();
    // In order, so that what caches hold is on the disk; else as a power cut, which ext4 bears.
    const inOrder = caches && !signal.aborted;
    if (inOrder) await machine.powerOff().catch(() => {});
    await machine.kill();
    await rm(runtime, { recursive: true, force: true });
    if (caches) await keepCaches(rooms.layout, id);
  };
  try {
    signal.throwIfAborted();
    await machine.awaken({ hostname: 'builder', machineId: newMachineId() }, timeoutMs);
    door = await openBuildDoor(rooms, machine, files.door, request);
    const link = () => machine.link();
    return { ...door, builder: new Builder(link, signal), link, broken, end };
  } catch (error) {
    const why = await broken();
    await end();
    throw why ?? error;
  }
}

function diskFull(folder: string): WarrenError {
  return new WarrenError({
    code: 'host.disk-full',
    message: `cannot build: the disk of this computer is full, where the builder machine is (${folder})`,
    remedy: 'free some: warren prune; what was built so far is kept',
  });
}
