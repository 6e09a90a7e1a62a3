// How the guest's CPU runs. Never believed from /dev/kvm: that can open, create vCPUs and still hang every
// kernel. The verdict comes from a timed boot and is kept per host boot, VMM version and kernel.

import { constants } from 'node:fs';
import { access, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeJsonAtomic } from '../host/atomic-file.ts';
import { machineSockets } from '../host/layout.ts';
import { makeWorkFolder } from '../host/work-folder.ts';
import type { BoxOptions } from './confine.ts';
import type { Accelerator, Driver, DriverFound, MachineSpec } from './driver.ts';
import { end, launch } from './launch.ts';

export interface AcceleratorProbe {
  driver: Driver;
  found: DriverFound;
  vmlinuz: string;
  kernelVersion: string;
  box: BoxOptions;
  /** Where the verdict is kept. */
  cacheFile: string;
}

/** A kernel without an initramfs panics and reboots, which ends the VMM: proof enough that it ran. */
const TRIAL_TIMEOUT_MS = 4_000;
const TRIAL_MEMORY_MIB = 256;

export async function chooseAccelerator(probe: AcceleratorProbe): Promise<Accelerator> {
  const key = `${await hostBoot()} ${probe.found.binary} ${probe.found.version} ${probe.kernelVersion}`;
  const kept = await readFile(probe.cacheFile, 'utf8')
    .then((text) => JSON.parse(text) as { key: string; accelerator: Accelerator })
    .catch(() => undefined);
  if (kept?.key === key) return kept.accelerator;
  const accelerator = await tryKvm(probe);
  await writeJsonAtomic(probe.cacheFile, { key, accelerator });
  return accelerator;
}

async function hostBoot(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

async function tryKvm(probe: AcceleratorProbe): Promise<Accelerator> {
  try {
    await access('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return {
      kind: 'emulation',
      why: missing ? '/dev/kvm is not there' : `/dev/kvm may not be opened by uid ${process.getuid?.()}`,
    };
  }
  const folder = await makeWorkFolder('kvm');
  try {
    return await trialBoot(probe, folder);
  } finally {
    // The last words of a VMM may still come into its log.
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  }
}

async function trialBoot(probe: AcceleratorProbe, folder: string): Promise<Accelerator> {
  const spec: MachineSpec = {
    id: 'kvm-trial',
    cpus: 1,
    memoryMib: TRIAL_MEMORY_MIB,
    accelerator: { kind: 'kvm' },
    kernel: { vmlinuz: probe.vmlinuz },
    layers: [],
    disk: { kind: 'raw', file: join(folder, 'disk') },
    diskGib: 1,
    memory: { file: join(folder, 'memory'), shared: true },
    sockets: machineSockets(join(folder, 'sockets')),
  };
  await writeFile(join(folder, 'disk'), Buffer.alloc(4096));
  await writeFile(join(folder, 'memory'), '');
  await truncate(join(folder, 'memory'), TRIAL_MEMORY_MIB * 1024 * 1024);
  const log = join(folder, 'log');
  const plan = probe.driver.plan(spec, probe.found);
  try {
    const { vmm } = await launch(plan, probe.box, spec.sockets.qmp, log);
    try {
      const control = await probe.driver.control(spec.sockets.qmp);
      const ran = await Promise.race([
        control.closed.then(() => true),
        new Promise<false>((resolve) => setTimeout(() => resolve(false), TRIAL_TIMEOUT_MS)),
      ]);
      control.close();
      if (ran) return { kind: 'kvm' };
      return {
        kind: 'emulation',
        why: `/dev/kvm is there, but a kernel under it did not start within ${TRIAL_TIMEOUT_MS} ms`,
      };
    } finally {
      await end(vmm);
    }
  } catch {
    const said = (await readFile(log, 'utf8').catch(() => '')).trim().split('\n').at(-1) || 'the VMM failed';
    return { kind: 'emulation', why: `/dev/kvm is there, but the VMM cannot use it: ${said}` };
  }
}

/** One line for `show` and `doctor`: how strong the boundary is. */
export function describeAccelerator(accelerator: Accelerator): string {
  return accelerator.kind === 'kvm'
    ? 'KVM: the CPU enforces the boundary'
    : `software emulation (${accelerator.why}): the boundary is QEMU's emulator inside its box`;
}
