// What the conductor is handed: this computer's folders, a driver, and the path of the agent. Everything that
// costs time to find out is found out once and kept here.

import { stat } from 'node:fs/promises';
import { timeStampCounterKhz } from '../host/clock.ts';
import { type Layout, storeFolder, storeFolders } from '../host/layout.ts';
import { ensureKernel, type Kernel } from '../image/index.ts';
import { chooseAccelerator } from '../machine/accelerator.ts';
import type { BoxOptions, Confinement } from '../machine/confine.ts';
import type { Accelerator, Driver, DriverFound } from '../machine/driver.ts';
import { kvmGroup, machineUid, probeConfinement } from '../machine/probe-confinement.ts';
import type { Progress } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import { FailedSteps } from './build/failed-steps.ts';

export type OnProgress = (progress: Progress) => void;

export interface RoomsOptions {
  layout: Layout;
  driver: Driver;
  /** The agent's binary, static, for the guest. */
  agent: string;
  /** The door's program. */
  door: string;
}

export class Rooms {
  readonly layout: Layout;
  readonly driver: Driver;
  readonly agent: string;
  readonly door: string;
  readonly store: string;
  /** Of builds, in machines that wait. */
  readonly failedSteps = new FailedSteps();
  /** Of this computer, no rule opens them to a machine: stable names lead into all sandboxes. */
  readonly closedHostPorts = new Set<number>();
  #found: Promise<DriverFound> | undefined;
  #confinement: Promise<Confinement> | undefined;
  #kernel: { agentMtimeMs: number; kernel: Promise<Kernel> } | undefined;
  #tscKhz: Promise<number | undefined> | undefined;

  constructor(options: RoomsOptions) {
    this.layout = options.layout;
    this.driver = options.driver;
    this.agent = options.agent;
    this.door = options.door;
    this.store = storeFolder(options.layout);
  }

  get storeFolders() {
    return storeFolders(this.store);
  }

  /** Throws `machine.no-vmm` with the command that installs one. A failure is not kept: the user may mend it. */
  found(): Promise<DriverFound> {
    this.#found ??= this.driver.probe().then((probe) => {
      if (probe.kind === 'found') return probe;
      this.#found = undefined;
      throw new WarrenError({
        code: 'machine.no-vmm',
        message: `cannot start machines: ${probe.reason}`,
        remedy: probe.remedy,
      });
    });
    return this.#found;
  }

  confinement(): Promise<Confinement> {
    this.#confinement ??= probeConfinement();
    return this.#confinement;
  }

  /** Throws `machine.no-box`: an ordinary user's VMM may run without namespaces, root's may not. */
  async box(id: string): Promise<BoxOptions> {
    const confinement = await this.confinement();
    if (!confinement.namespaces && process.getuid?.() === 0) {
      throw new WarrenError({
        code: 'machine.no-box',
        message: `cannot start machines as root without a box around them: ${confinement.why ?? 'bwrap does not work here'}`,
        remedy: 'apt-get install bubblewrap; or run Warren as an ordinary user',
      });
    }
    const uid = confinement.ordinaryUser ? machineUid(id) : undefined;
    const deviceGroup = await kvmGroup();
    return {
      confinement,
      ...(uid !== undefined && { uid }),
      ...(deviceGroup !== undefined && { deviceGroup }),
    };
  }

  async kernel(onProgress: OnProgress, signal?: AbortSignal): Promise<Kernel> {
    const { mtimeMs } = await stat(this.agent);
    if (this.#kernel?.agentMtimeMs !== mtimeMs) {
      const kernel = ensureKernel({
        store: this.store,
        agent: this.agent,
        onProgress,
        ...(signal && { signal }),
      });
      this.#kernel = { agentMtimeMs: mtimeMs, kernel };
      kernel.catch(() => {
        this.#kernel = undefined;
      });
    }
    return await this.#kernel.kernel;
  }

  /** Kernels may have been pruned: look again at the next use. */
  forgetStore(): void {
    this.#kernel = undefined;
  }

  /** What a machine's spec takes from this computer. */
  async clock(): Promise<{ tscKhz?: number }> {
    this.#tscKhz ??= timeStampCounterKhz();
    const tscKhz = await this.#tscKhz;
    return tscKhz === undefined ? {} : { tscKhz };
  }

  async accelerator(kernel: Kernel): Promise<Accelerator> {
    return await chooseAccelerator({
      driver: this.driver,
      found: await this.found(),
      vmlinuz: kernel.vmlinuz,
      kernelVersion: kernel.version,
      box: await this.box('kvm-trial'),
      cacheFile: this.storeFolders.accelerator,
    });
  }
}
