// What a builder machine is asked to do, as calls to its agent (docs/CHANNEL.md, build). Steps follow one another; the
// machine is one build's, and goes with it. Its answers are hostile.

import { type Duplex, PassThrough, type Readable, type Writable } from 'node:stream';
import type { Link } from './link/link.ts';
import { type SessionEvent, sessionEvents } from './session-events.ts';

/** A tree that can be read in the machine. */
export type BuilderTree = { layer: number } | { stage: string } | { tree: string };

export interface BuilderMount {
  kind: 'bind' | 'cache' | 'tmpfs';
  target: string;
  stage?: string;
  layer?: number;
  tree?: string;
  source?: string;
  writable?: boolean;
  id?: string;
  mode?: number;
  uid?: number;
  gid?: number;
  sizeBytes?: number;
}

export interface BuilderFile {
  target: string;
  content: Buffer;
  mode: number;
  uid: number;
  gid: number;
}

export interface BuilderSocket {
  target: string;
  mode: number;
  uid: number;
  gid: number;
}

export interface BuilderCopy {
  dest: string;
  /** The destination is a folder, whatever is there. */
  folder: boolean;
  chown: string;
  chmod: string;
}

export interface BuilderCommand {
  argv: readonly string[];
  env: Record<string, string>;
  user: string;
  workdir: string;
  network: 'default' | 'none';
}

/** A step that copies, packs or syncs much takes its time under emulation. */
const LONG_TIMEOUT_MS = 60 * 60_000;
const SHORT_TIMEOUT_MS = 60_000;
const PROXY = '127.0.0.1:3128';

/** Of a session in a stage's open step. */
export function sessionHeaders(stage: string, network: 'default' | 'none'): Record<string, string> {
  return { 'warren-root': stage, ...(network === 'none' && { 'warren-network': 'none' }) };
}

export class Builder {
  readonly #link: () => Promise<Link>;
  readonly #signal: AbortSignal;

  constructor(link: () => Promise<Link>, signal: AbortSignal) {
    this.#link = link;
    this.#signal = signal;
  }

  /** `on`: what it starts from; null is nothing. */
  async beginStage(stage: string, on: { layer: number } | { stage: string } | null): Promise<void> {
    const from = on === null ? {} : 'layer' in on ? { layer: on.layer } : { from: on.stage };
    await this.#call('stage', { stage, ...from });
  }

  async openStep(
    stage: string,
    {
      run,
      mounts = [],
      files = [],
      sockets = [],
    }: {
      run: boolean;
      mounts?: readonly BuilderMount[];
      files?: readonly BuilderFile[];
      sockets?: readonly BuilderSocket[];
    },
  ): Promise<void> {
    const encoded = files.map((file) => ({ ...file, content: file.content.toString('base64') }));
    await this.#call('open', { stage, run, mounts, files: encoded, sockets });
  }

  /** Of the open step. */
  async *run(stage: string, command: BuilderCommand): AsyncGenerator<SessionEvent> {
    const [cmd = '', ...args] = command.argv;
    yield* sessionEvents(
      await this.#link(),
      { cmd, args, envs: command.env, cwd: command.workdir },
      {
        user: command.user || 'root',
        timeoutMs: 0,
        signal: this.#signal,
        headers: sessionHeaders(stage, command.network),
      },
    );
  }

  /** Waits for a program of the open step that connects to one of its sockets, and answers which and its bytes. */
  async acceptSocket(
    stage: string,
    signal: AbortSignal,
  ): Promise<{ number: number; from: Readable; to: Writable }> {
    const link = await this.#link();
    const to = new PassThrough();
    const { headers, body } = await link.send(`/warren/build/socket?stage=${encodeURIComponent(stage)}`, {
      payload: to,
      timeoutMs: 0,
      signal,
    });
    return { number: Number(headers['warren-socket']), from: body, to };
  }

  async makeFolder(stage: string, path: string, user: string): Promise<void> {
    await this.#call('folder', { stage, path, user });
  }

  /** `entries`: a tar that begins with `copy.json`. */
  async copy(entries: Readable): Promise<void> {
    await this.#put('copy', entries);
  }

  async copyFrom(
    stage: string,
    from: BuilderTree,
    {
      patterns,
      parents,
      excludes,
      ...copy
    }: BuilderCopy & { patterns: readonly string[]; parents: boolean; excludes: readonly string[] },
  ): Promise<void> {
    await this.#call('copy-from', { stage, from, patterns, parents, excludes, ...copy }, LONG_TIMEOUT_MS);
  }

  /** Keeps what a tar holds as a tree of its own. */
  async putTree(name: string, entries: Readable): Promise<void> {
    await this.#put(`tree?name=${encodeURIComponent(name)}`, entries);
  }

  /** Answers whether it left something behind; not kept, it is forgotten. */
  async closeStep(stage: string, keep: boolean): Promise<boolean> {
    const { changed } = await this.#call<{ changed?: unknown }>('close', { stage, keep });
    return changed === true;
  }

  /** The tar of what the last kept step changed. */
  async layer(stage: string): Promise<Readable> {
    const link = await this.#link();
    const { body } = await link.send(`/warren/build/layer?stage=${encodeURIComponent(stage)}`, {
      timeoutMs: 0,
      signal: this.#signal,
    });
    return body;
  }

  /** A connection to the machine's own proxy: what is asked there goes the way of its programs. */
  async proxy(): Promise<Duplex> {
    return await (await this.#link()).connect(PROXY, this.#signal);
  }

  async #call<T>(path: string, body: unknown, timeoutMs = SHORT_TIMEOUT_MS): Promise<T> {
    const link = await this.#link();
    return await link.json<T>(`/warren/build/${path}`, {
      method: 'POST',
      body,
      timeoutMs,
      signal: this.#signal,
    });
  }

  async #put(path: string, payload: Readable): Promise<void> {
    const link = await this.#link();
    const call = { method: 'PUT', timeoutMs: LONG_TIMEOUT_MS, signal: this.#signal } as const;
    await link.sendTar(`/warren/build/${path}`, payload, call);
  }
}
