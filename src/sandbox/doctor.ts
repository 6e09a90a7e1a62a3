// `doctor`: what this computer offers, found out by doing it, and what each missing thing would cost.

import { totalmem } from 'node:os';
import { freeMib } from '../host/disk-space.ts';
import { run } from '../host/run.ts';
import { describeAccelerator } from '../machine/accelerator.ts';
import type { DoctorCheck } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import type { Conductor } from './conductor.ts';
import { describeConfinement } from './show.ts';

const LOW_DISK_GIB = 5;

export async function doctor(conductor: Conductor): Promise<DoctorCheck[]> {
  const { rooms } = conductor;
  const checks: DoctorCheck[] = [];
  const found = await rooms.found().catch((error: unknown) => WarrenError.from(error));
  if (found instanceof WarrenError) {
    checks.push({
      name: 'vmm',
      state: 'missing',
      says: found.message,
      ...(found.remedy && { remedy: found.remedy }),
    });
  } else {
    checks.push({
      name: 'vmm',
      state: 'ok',
      says: `${rooms.driver.name} ${found.version} (${found.binary})`,
    });
    checks.push({
      name: 'template memory',
      state: found.readonlyMemory ? 'ok' : 'weaker',
      says: found.readonlyMemory
        ? 'opened read-only by every machine'
        : 'opened for writing (mapped privately): this QEMU cannot open it read-only',
      ...(!found.readonlyMemory && { remedy: 'install QEMU 8.1 or newer' }),
    });
    const kernel = await rooms.kernel(() => {}).catch((error: unknown) => WarrenError.from(error));
    if (kernel instanceof WarrenError)
      checks.push({
        name: 'kernel',
        state: 'missing',
        says: kernel.message,
        ...(kernel.remedy && { remedy: kernel.remedy }),
      });
    else {
      checks.push({
        name: 'kernel',
        state: 'ok',
        says: `Debian ${kernel.version}, verified by Debian's signatures`,
      });
      const accelerator = await rooms.accelerator(kernel).catch((error: unknown) => WarrenError.from(error));
      checks.push(
        accelerator instanceof WarrenError
          ? { name: 'accelerator', state: 'missing', says: accelerator.message }
          : {
              name: 'accelerator',
              state: accelerator.kind === 'kvm' ? 'ok' : 'weaker',
              says: describeAccelerator(accelerator),
            },
      );
    }
  }
  const confinement = await rooms.confinement();
  const weaker = !(confinement.namespaces && confinement.ordinaryUser && confinement.limits);
  checks.push({
    name: 'confinement',
    state: weaker ? 'weaker' : 'ok',
    says: describeConfinement(confinement).join('; '),
    ...(!confinement.namespaces && { remedy: 'sudo apt-get install bubblewrap' }),
  });
  checks.push(await tool('git', ['--version'], 'sudo apt-get install git'));
  checks.push(await tool('mmdebstrap', ['--version'], 'sudo apt-get install mmdebstrap'));
  checks.push(await tool('mkfs.erofs', ['--help'], 'sudo apt-get install erofs-utils'));
  checks.push({ name: 'memory', state: 'ok', says: `${Math.floor(totalmem() / 1024 ** 2)} MiB` });
  checks.push(await disk(rooms.layout.data));
  for (const error of conductor.unreadable) {
    checks.push({
      name: 'record',
      state: 'weaker',
      says: `a sandbox cannot be used, its files are kept: ${error.message}`,
      ...(error.remedy && { remedy: error.remedy }),
    });
  }
  return checks;
}

async function tool(name: string, args: string[], remedy: string): Promise<DoctorCheck> {
  try {
    const { stdout, stderr } = await run(name, args, { timeoutMs: 10_000 });
    return {
      name,
      state: 'ok',
      says: name === 'mkfs.erofs' ? 'installed' : ((stdout.toString() || stderr).trim().split('\n')[0] ?? ''),
    };
  } catch (error) {
    return { name, state: 'missing', says: (error as Error).message, remedy };
  }
}

async function disk(folder: string): Promise<DoctorCheck> {
  const freeGib = (await freeMib(folder)) / 1024;
  const low = freeGib < LOW_DISK_GIB;
  return {
    name: 'disk',
    state: low ? 'weaker' : 'ok',
    says: `${freeGib.toFixed(1)} GiB free in ${folder}`,
    ...(low && { remedy: 'warren prune' }),
  };
}
