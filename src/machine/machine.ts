// One running machine: its VMM process, the control of it, and the link to its agent. It does not belong to
// this process: it can be adopted again from its record, and it is gone only when its VMM is.

import { EventEmitter } from 'node:events';
import { appendFile, stat, truncate } from 'node:fs/promises';
import { isAlive, type ProcessId } from '../host/processes.ts';
import { WarrenError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';
import { type BoxOptions, type Confinement, pathsOf } from './confine.ts';
import type { Control, Driver, DriverFound, MachineSpec } from './driver.ts';
import { awaken, type Identity } from './identity.ts';
import { end, launch, vmmFailed } from './launch.ts';
import { Link } from './link/link.ts';

/** What a later process needs to find the machine again; kept in the sandbox's record. */
export interface MachineRecord {
  driver: string;
  vmm: ProcessId;
  control: string;
  agent: string;
  egress: string;
  console: string;
  confinement: Confinement;
}

export interface MachineFiles {
  vmmLog: string;
  console: string;
}

const BOOT_TIMEOUT_MS = 120_000;
const POWER_OFF_TIMEOUT_MS = 20_000;

export class Machine extends EventEmitter<{ gone: []; diskFull: [] }> {
  readonly record: MachineRecord;
  readonly #control: Control;
  #link: Promise<Link> | undefined;
  #gone = false;

  private constructor(record: MachineRecord, control: Control) {
    super();
    this.record = record;
    this.#control = control;
    control.closed.then(() => this.#onControlClosed());
    control.onDiskFull(() => void this.#tellFullDisk());
  }

  /** Boots or restores what `spec` says. The agent has not been spoken to yet; see `awaken`. */
  static async start(
    driver: Driver,
    probe: DriverFound,
    spec: MachineSpec,
    box: BoxOptions,
    files: MachineFiles,
  ): Promise<Machine> {
    const plan = driver.plan(spec, probe);
    const { vmm } = await launch(plan, box, spec.sockets.qmp, files.vmmLog);
    try {
      const control = await driver.control(spec.sockets.qmp);
      if (spec.restore) await control.restore(plan.state!(pathsOf(plan, box)));
      const record: MachineRecord = {
        driver: driver.name,
        vmm,
        control: spec.sockets.qmp,
        agent: spec.sockets.agent,
        egress: spec.sockets.egress,
        console: files.console,
        confinement: box.confinement,
      };
      return new Machine(record, control);
    } catch (error) {
      const died = !isAlive(vmm);
      await end(vmm);
      const failure = WarrenError.from(error);
      throw died ? await vmmFailed(files.vmmLog, failure) : failure;
    }
  }

  /** Finds a machine again that another process started. Throws `machine.vmm-gone`. */
  static async adopt(driver: Driver, record: MachineRecord): Promise<Machine> {
    if (!isAlive(record.vmm)) throw new WarrenError({ code: 'machine.vmm-gone', message: 'its VMM is gone' });
    return new Machine(record, await driver.control(record.control));
  }

  get alive(): boolean {
    return !this.#gone && isAlive(this.record.vmm);
  }

  /** The link to the agent, attached (again) when there is none. One attach at a time. */
  link(timeoutMs: number = limits.channelAttachTimeoutMs): Promise<Link> {
    if (this.#link) return this.#link;
    const opening = Link.open(this.record.agent, { timeoutMs });
    this.#link = opening;
    const forget = () => {
      if (this.#link === opening) this.#link = undefined;
    };
    opening.then((link) => link.once('closed', forget), forget);
    return opening;
  }

  /** Tells a machine that worked before what time it is; it is kept whatever it answers. */
  async reawaken(identity: Identity, timeoutMs: number): Promise<void> {
    await awaken(await this.link(timeoutMs), identity, timeoutMs);
  }

  /** Says who the machine is now; no session may start before. A machine that does not acknowledge is ended. */
  async awaken(identity: Identity, timeoutMs = BOOT_TIMEOUT_MS): Promise<void> {
    try {
      await this.reawaken(identity, timeoutMs);
    } catch (error) {
      const log = await this.saveConsole().catch(() => undefined);
      await this.kill();
      const shape = WarrenError.from(error, 'machine.agent-silent').toJSON();
      throw new WarrenError(
        {
          ...shape,
          message: `the machine did not come up: ${shape.message}`,
          remedy: 'read the log; if it happens again, rebuild the template: warren template rm --all',
          ...(log && { log }),
        },
        { cause: error },
      );
    }
  }

  /** The VMM stopped it because a write found no room on the host. */
  async stoppedByFullDisk(): Promise<boolean> {
    return (await this.#control.status()) === 'disk-full';
  }

  async pause(): Promise<void> {
    await this.#control.pause();
  }

  async resume(): Promise<void> {
    await this.#control.resume();
  }

  /** Drops the link, so that a frozen machine holds no half-read frame. */
  async detach(): Promise<void> {
    const link = await this.#link?.catch(() => undefined);
    link?.close();
    this.#link = undefined;
  }

  saveDevice(plan: {
    driver: Driver;
    probe: DriverFound;
    spec: MachineSpec;
    box: BoxOptions;
  }): Promise<void> {
    const planned = plan.driver.plan(plan.spec, plan.probe);
    return this.#control.saveDevice(planned.state!(pathsOf(planned, plan.box)));
  }

  /** Moves what the console printed into its log, which is cut at a limit. Answers the log's path. */
  async saveConsole(): Promise<string> {
    const { console } = this.record;
    const said = await this.#control.readConsole();
    if (said.length > 0) {
      const { size } = await stat(console).catch(() => ({ size: 0 }));
      if (size > limits.consoleLogBytes) await truncate(console, 0);
      await appendFile(console, said, { mode: 0o600 });
    }
    return console;
  }

  /** Asks the agent to end everything and sync, then ends the VMM. */
  async powerOff(): Promise<void> {
    const link = await this.link();
    await link.json('/warren/poweroff', { method: 'POST', body: {}, timeoutMs: POWER_OFF_TIMEOUT_MS });
    await this.saveConsole().catch(() => {});
    await this.quit();
  }

  async quit(): Promise<void> {
    await this.#control.quit();
    await this.kill();
  }

  /** Ends the VMM at once, as a power cut would. */
  async kill(): Promise<void> {
    await end(this.record.vmm);
    this.#control.close();
    await this.detach();
  }

  /** Lets go without ending anything: the daemon stops, the machine stays. */
  async leave(): Promise<void> {
    this.#gone = true;
    await this.detach();
    this.#control.close();
  }

  /** A VMM may hold such news back (QEMU 10 for a second); by now there may be room, and the machine may run again. */
  async #tellFullDisk(): Promise<void> {
    if (await this.stoppedByFullDisk().catch(() => false)) this.emit('diskFull');
  }

  #onControlClosed(): void {
    if (this.#gone) return;
    this.#gone = true;
    void this.detach();
    this.emit('gone');
  }
}
