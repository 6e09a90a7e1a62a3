// The forwards of every sandbox and the listener of stable names. They live in the daemon; `forwards.json` beside the
// sandbox brings them back with the next one.

import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { Connections } from '../forward/connections.ts';
import { NamesListener } from '../forward/names.ts';
import type { ForwardParts } from '../forward/parts.ts';
import { checkPorts, PlainForward } from '../forward/plain.ts';
import { urlOf } from '../forward/stable-name.ts';
import { writeJsonAtomic } from '../host/atomic-file.ts';
import { isOwnPeer } from '../host/peer.ts';
import { WarrenError } from '../protocol/error.ts';
import type { AddedForward, ForwardView, GuestPort, PortsView } from '../protocol/forwards.ts';
import { openAtNamesPort } from './names-port.ts';
import type { SandboxRecord } from './record.ts';
import type { Sandbox, Sandboxes } from './sandboxes.ts';

const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
const fileSchema = v.object({
  version: v.literal(1),
  forwards: v.pipe(v.array(v.object({ port, hostPort: port })), v.maxLength(1024)),
});
const guestPorts = v.object({
  ports: v.pipe(
    v.array(
      v.object({
        port,
        address: v.pipe(v.string(), v.maxLength(64)),
        pid: v.number(),
        comm: v.pipe(v.string(), v.maxLength(256)),
      }),
    ),
    v.maxLength(1024),
  ),
});

interface Kept extends ForwardView {
  open: PlainForward | null;
}

export class Forwards {
  readonly #sandboxes: Sandboxes;
  readonly #parts: ForwardParts;
  readonly #connections: Connections;
  readonly #closedHostPorts: Set<number>;
  /** By the sandbox's id. */
  readonly #kept = new Map<string, Kept[]>();
  #names: NamesListener | null = null;
  #namesProblem: string | null = null;
  /** Changes follow one another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(sandboxes: Sandboxes, closedHostPorts: Set<number>) {
    this.#sandboxes = sandboxes;
    this.#closedHostPorts = closedHostPorts;
    this.#parts = {
      openPort: (name, at, signal) => this.#openPort(name, at, signal),
      listening: (name) => this.#listening(this.#named(name)),
      isOwn: isOwnPeer,
    };
    this.#connections = new Connections(this.#parts);
  }

  /** Opens the listener of stable names. When that fails, `list` tells it. */
  async openNames(): Promise<void> {
    const open = (port: number) => NamesListener.open(this.#parts, this.#connections, port);
    this.#names = await openAtNamesPort(this.#sandboxes.layout, open).catch((error: Error) => {
      this.#namesProblem = error.message;
      return null;
    });
    if (this.#names) this.#closedHostPorts.add(this.#names.port);
  }

  /** After the sandboxes are known. What cannot be opened is told by `list`, not thrown. */
  async start(): Promise<void> {
    for (const sandbox of this.#sandboxes.list()) {
      for (const wanted of await this.#read(sandbox).catch(() => []))
        await this.#open(sandbox, wanted.port, wanted.hostPort).catch((error: Error) => {
          this.#of(sandbox).push({ ...wanted, problem: error.message, open: null });
        });
    }
  }

  /** Of stable names; null while nothing listens. */
  get namesPort(): number | null {
    return this.#names?.port ?? null;
  }

  async list(sandbox: Sandbox): Promise<PortsView> {
    const { name, state } = sandbox.record;
    const names = this.namesPort;
    const listening = state === 'running' ? await this.#listening(sandbox) : [];
    return {
      name,
      state,
      forwards: this.#of(sandbox).map(({ open: _, ...view }) => view),
      listening: listening
        .sort((a, b) => a.port - b.port)
        .map((each) => ({
          ...each,
          url: names === null ? null : urlOf({ port: each.port, sandbox: name }, names),
        })),
      names: { port: names, problem: this.#namesProblem },
    };
  }

  /** Adding one again succeeds. Throws `usage.port`, `forward.port-taken`, `forward.too-many`. */
  add(sandbox: Sandbox, guestPort: number, hostPort: number | null): Promise<AddedForward> {
    return this.#inTurn(async () => {
      checkPorts({ port: guestPort, hostPort });
      const all = this.#of(sandbox);
      const same = all.find((each) => each.port === guestPort);
      if (same?.open && (hostPort === null || hostPort === same.hostPort)) return viewOf(same);
      const { forwards: most } = this.#connections.limits;
      if (!same && all.length >= most) {
        throw new WarrenError({
          code: 'forward.too-many',
          message: `sandbox "${sandbox.record.name}" has ${most} forwards, and that is the most`,
          remedy: `warren forward rm ${sandbox.record.name} ${all[0]!.port}`,
        });
      }
      if (hostPort !== null) this.#checkFree(sandbox.record.name, guestPort, hostPort);
      const kept = await this.#open(sandbox, guestPort, hostPort);
      if (same) this.#drop(all, same);
      await this.#write(sandbox);
      return { ...viewOf(kept), ...(same?.open && { instead: same.hostPort }) };
    });
  }

  /** Answers false when there was none. */
  remove(sandbox: Sandbox, guestPort: number): Promise<boolean> {
    return this.#inTurn(async () => {
      const all = this.#of(sandbox);
      const found = all.find((each) => each.port === guestPort);
      if (!found) return false;
      this.#drop(all, found);
      await this.#write(sandbox);
      return true;
    });
  }

  /** Those that are not there yet, as `forwardPorts` of an environment asks for; a taken port gets another. */
  async ensureForwards(record: SandboxRecord, ports: readonly number[]): Promise<ForwardView[]> {
    const sandbox = this.#sandboxes.get(record.id);
    const views: ForwardView[] = [];
    for (const each of ports) views.push(await this.add(sandbox, each, null));
    return views;
  }

  /** What was open to a sandbox that stands still or is gone ends. */
  dropConnections({ record }: Sandbox): void {
    this.#connections.drop(record.name);
  }

  /** The sandbox is gone. */
  forget(sandbox: Sandbox): void {
    this.dropConnections(sandbox);
    for (const { open } of this.#of(sandbox)) open?.close();
    this.#kept.delete(sandbox.record.id);
  }

  closeAll(): void {
    this.#names?.close();
    for (const all of this.#kept.values()) for (const { open } of all) open?.close();
    this.#connections.dropAll();
  }

  async #open(sandbox: Sandbox, guestPort: number, hostPort: number | null): Promise<Kept> {
    const wanted = { sandbox: sandbox.record.name, port: guestPort, hostPort };
    const open = await PlainForward.open(wanted, this.#parts, this.#connections);
    const kept = { port: guestPort, hostPort: open.hostPort, problem: null, open };
    // It may have been removed meanwhile.
    if (this.#sandboxes.find(sandbox.record.id) === undefined) open.close();
    else this.#of(sandbox).push(kept);
    return kept;
  }

  /** "Another program" would be Warren itself. */
  #checkFree(name: string, guestPort: number, hostPort: number): void {
    const taken = (what: string, remedy: string) =>
      new WarrenError({
        code: 'forward.port-taken',
        message: `cannot listen at 127.0.0.1:${hostPort}: ${what}`,
        remedy: `${remedy}let Warren choose: warren forward ${name} ${guestPort}`,
      });
    if (hostPort === this.namesPort) throw taken('stable names are there', '');
    for (const [id, all] of this.#kept) {
      const found = all.find((each) => each.open && each.hostPort === hostPort);
      const other = found && this.#sandboxes.find(id)?.record.name;
      if (!other) continue;
      const end = `warren forward rm ${other} ${found.port}; or `;
      throw taken(`it leads to port ${found.port} of sandbox "${other}"`, end);
    }
  }

  #drop(all: Kept[], kept: Kept): void {
    kept.open?.close();
    all.splice(all.indexOf(kept), 1);
  }

  #of({ record }: Sandbox): Kept[] {
    const all = this.#kept.get(record.id) ?? [];
    this.#kept.set(record.id, all);
    return all;
  }

  async #read(sandbox: Sandbox): Promise<{ port: number; hostPort: number }[]> {
    const text = await readFile(this.#sandboxes.files(sandbox).forwards, 'utf8');
    return v.parse(fileSchema, JSON.parse(text)).forwards;
  }

  async #write(sandbox: Sandbox): Promise<void> {
    const forwards = this.#of(sandbox).map(({ port, hostPort }) => ({ port, hostPort }));
    await writeJsonAtomic(this.#sandboxes.files(sandbox).forwards, { version: 1, forwards });
  }

  /** By its very name: an id is no part of a stable name. */
  #named(name: string): Sandbox {
    const sandbox = this.#sandboxes.find(name);
    if (sandbox?.record.name === name) return sandbox;
    throw new WarrenError({ code: 'sandbox.not-found', message: `there is no sandbox "${name}"` });
  }

  async #openPort(name: string, at: number, signal: AbortSignal) {
    const link = await this.#sandboxes.link(this.#named(name));
    return await link.connect(`localhost:${at}`, signal);
  }

  async #listening(sandbox: Sandbox): Promise<GuestPort[]> {
    const link = await this.#sandboxes.link(sandbox);
    const parsed = v.safeParse(guestPorts, await link.json('/warren/ports', { timeoutMs: 5_000 }));
    if (parsed.success) return parsed.output.ports;
    throw new WarrenError({ code: 'machine.agent-garbage', message: 'the agent’s list of ports is none' });
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work, work);
    this.#last = mine.catch(() => {});
    return await mine;
  }
}

function viewOf({ port, hostPort, problem }: Kept): ForwardView {
  return { port, hostPort, problem };
}
