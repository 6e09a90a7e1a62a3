// Every sandbox, and the machine that each one has now. What is held in memory can be rebuilt from disk at any moment (see
// reconcile.ts).

import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { type Layout, sandboxFiles } from '../host/layout.ts';
import type { Link } from '../machine/link/link.ts';
import type { Machine } from '../machine/machine.ts';
import { WarrenError } from '../protocol/error.ts';
import { appendJournal } from './journal.ts';
import { next } from './lifecycle.ts';
import { type SandboxRecord, writeRecord } from './record.ts';

export interface Sandbox {
  record: SandboxRecord;
  machine: Machine | null;
}

/** `changed`: its record, on disk and here. */
export class Sandboxes extends EventEmitter<{ changed: [Sandbox]; forgotten: [Sandbox] }> {
  readonly layout: Layout;
  readonly #sandboxes = new Map<string, Sandbox>();
  /** What each sandbox is doing: verbs on one sandbox follow one another. */
  readonly #busy = new Map<string, Promise<unknown>>();
  readonly #updates = new WeakMap<Sandbox, Promise<void>>();

  constructor(layout: Layout) {
    super();
    this.layout = layout;
  }

  list(): Sandbox[] {
    return [...this.#sandboxes.values()].sort((a, b) => (a.record.createdAt < b.record.createdAt ? -1 : 1));
  }

  find(name: string): Sandbox | undefined {
    return this.list().find(({ record }) => record.name === name || record.id === name);
  }

  get(name: string): Sandbox {
    const sandbox = this.find(name);
    if (sandbox) return sandbox;
    const names = this.list().map(({ record }) => record.name);
    throw new WarrenError({
      code: 'sandbox.not-found',
      message: `there is no sandbox "${name}"`,
      remedy: names.length > 0 ? `the sandboxes are: ${names.slice(0, 10).join(', ')}` : 'warren up',
    });
  }

  files(sandbox: Sandbox) {
    return sandboxFiles(this.layout, sandbox.record.id);
  }

  add(record: SandboxRecord, machine: Machine | null): Sandbox {
    const sandbox: Sandbox = { record, machine };
    this.#sandboxes.set(record.id, sandbox);
    if (machine) this.watch(sandbox, machine);
    return sandbox;
  }

  forget(sandbox: Sandbox): void {
    this.#sandboxes.delete(sandbox.record.id);
    this.emit('forgotten', sandbox);
  }

  newId(): string {
    return randomBytes(6).toString('hex');
  }

  /**
   * Changes the record, on disk first. One change follows another: what goes on by itself, as lifecycle commands and the end
   * of a machine do, changes it beside the verbs.
   */
  async update(
    sandbox: Sandbox,
    change: Partial<SandboxRecord>,
    event?: string,
    facts?: Record<string, unknown>,
  ): Promise<void> {
    const before = this.#updates.get(sandbox) ?? Promise.resolve();
    const mine = before.then(() => this.#change(sandbox, change));
    this.#updates.set(
      sandbox,
      mine.catch(() => {}),
    );
    await mine;
    if (event) await this.journal(sandbox, event, facts);
  }

  async #change(sandbox: Sandbox, change: Partial<SandboxRecord>): Promise<void> {
    const record = { ...sandbox.record, ...change };
    await writeRecord(this.layout, record);
    sandbox.record = record;
    this.emit('changed', sandbox);
  }

  async journal(sandbox: Sandbox, event: string, facts?: Record<string, unknown>): Promise<void> {
    await appendJournal(this.files(sandbox).journal, event, facts);
  }

  /** Takes on a machine: should its VMM go without being told to, the sandbox has crashed. */
  watch(sandbox: Sandbox, machine: Machine): void {
    sandbox.machine = machine;
    machine.on('diskFull', () => void this.diskFull(sandbox));
    machine.once('gone', () => {
      if (sandbox.machine !== machine) return;
      sandbox.machine = null;
      if (sandbox.record.state !== 'running' && sandbox.record.state !== 'paused') return;
      void this.update(
        sandbox,
        { state: 'crashed', machine: null, note: 'its VMM ended by itself or was killed' },
        'crashed',
      ).catch(() => {});
    });
  }

  /** Its machine stands still until there is room again. The record may find no room either: then memory knows. */
  async diskFull(sandbox: Sandbox): Promise<void> {
    if (sandbox.record.state !== 'running') return;
    const change = {
      state: 'paused',
      note: `the host's disk is full: free some, then: warren resume ${sandbox.record.name}`,
    } as const;
    await this.update(sandbox, change, 'disk-full').catch(() => {
      sandbox.record = { ...sandbox.record, ...change };
    });
  }

  /** The machine of a running sandbox; throws `sandbox.wrong-state`. */
  running(sandbox: Sandbox): Machine {
    next('use', sandbox.record.state, sandbox.record.name);
    if (sandbox.machine) return sandbox.machine;
    throw new WarrenError({
      code: 'sandbox.wrong-state',
      message: `cannot use sandbox "${sandbox.record.name}": its machine is gone`,
      remedy: `warren start ${sandbox.record.name}`,
    });
  }

  async link(sandbox: Sandbox): Promise<Link> {
    return await this.running(sandbox).link();
  }

  /** Runs `work` when nothing else is being done to this sandbox. */
  async exclusively<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = this.#busy.get(id) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.catch(() => {});
    this.#busy.set(id, settled);
    try {
      return await mine;
    } finally {
      if (this.#busy.get(id) === settled) this.#busy.delete(id);
    }
  }
}
