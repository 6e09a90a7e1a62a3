// HTTP to the daemon over its unix socket. The daemon is started when it is not there, and replaced when it
// runs other code than this client's: machines do not notice either.

import { spawn } from 'node:child_process';
import { mkdirSync, openSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { daemonFiles, type Layout, layoutFrom } from '../host/layout.ts';
import { ensurePrivateFolder } from '../host/private-folder.ts';
import { reachableSocketPath } from '../host/socket-path.ts';
import { type ErrorShape, WarrenError } from '../protocol/error.ts';

export interface TransportOptions {
  layout?: Layout;
  /** The command that starts a daemon. */
  daemon: { file: string; args: string[]; env?: NodeJS.ProcessEnv };
  /** Identifies this code; a daemon of another build is replaced. */
  build: string;
}

export interface Send {
  method: string;
  path: string;
  headers?: Record<string, string>;
  body?: Buffer | Readable;
  signal?: AbortSignal;
}

const START_TIMEOUT_MS = 15_000;
const LOOK_EVERY_MS = 10;

export class Transport {
  readonly layout: Layout;
  readonly #options: TransportOptions;
  readonly #agent = new Agent({ keepAlive: true });
  #ready: Promise<void> | undefined;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.layout = options.layout ?? layoutFrom();
  }

  /** Makes sure that a daemon of this build listens. */
  ready(): Promise<void> {
    this.#ready ??= this.#ensureDaemon();
    this.#ready.catch(() => {
      this.#ready = undefined;
    });
    return this.#ready;
  }

  /** The head of the answer. An answer of 400 or more is thrown as the error that it carries. */
  async send(call: Send): Promise<IncomingMessage> {
    await this.ready();
    const answer = await this.#request(call);
    if ((answer.statusCode ?? 500) < 400) return answer;
    throw errorFrom(await readText(answer), answer.statusCode ?? 500);
  }

  /** Whether a daemon listens, of any build; starts none. */
  async running(): Promise<boolean> {
    const build = await this.#build();
    if (build !== undefined) this.#ready = Promise.resolve();
    return build !== undefined;
  }

  close(): void {
    this.#agent.destroy();
  }

  #request(call: Send): Promise<IncomingMessage> {
    const path = reachableSocketPath(daemonFiles(this.layout).socket);
    return new Promise<IncomingMessage>((resolve, reject) => {
      const request = httpRequest({
        agent: this.#agent,
        socketPath: path.name,
        method: call.method,
        path: call.path,
        ...(call.headers && { headers: call.headers }),
        ...(call.signal && { signal: call.signal }),
      });
      request.once('response', resolve);
      request.on('error', (cause: NodeJS.ErrnoException) =>
        reject(call.signal?.aborted ? cause : unreachable(cause)),
      );
      if (call.body === undefined) request.end();
      else if (Buffer.isBuffer(call.body)) request.end(call.body);
      else call.body.pipe(request);
    }).finally(() => path.release());
  }

  async #ensureDaemon(): Promise<void> {
    // Before anything is said to a socket in there, or written beside it.
    for (const folder of [this.layout.data, this.layout.runtime]) await ensurePrivateFolder(folder);
    const running = await this.#build();
    if (running === this.#options.build) return;
    if (running !== undefined) await this.#replace();
    this.#start();
    const deadlineMs = performance.now() + START_TIMEOUT_MS;
    while ((await this.#build()) === undefined) {
      if (performance.now() > deadlineMs) {
        throw new WarrenError({
          code: 'daemon.did-not-start',
          message: `the daemon did not start within ${START_TIMEOUT_MS / 1000} s`,
          log: daemonFiles(this.layout).log,
          remedy: 'read the log, then: warren daemon start',
        });
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  /** The build of the daemon that listens; undefined: none does. */
  async #build(): Promise<string | undefined> {
    try {
      const answer = await this.#request({ method: 'GET', path: '/v1/info' });
      return (JSON.parse(await readText(answer)) as { build?: string }).build ?? '';
    } catch {
      return undefined;
    }
  }

  async #replace(): Promise<void> {
    await this.#request({ method: 'POST', path: '/v1/stop' }).then(
      (answer) => answer.resume(),
      () => {},
    );
    const deadlineMs = performance.now() + START_TIMEOUT_MS;
    while ((await this.#build()) !== undefined && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  #start(): void {
    const { log } = daemonFiles(this.layout);
    mkdirSync(dirname(log), { recursive: true, mode: 0o700 });
    const out = openSync(log, 'a', 0o600);
    const { file, args, env } = this.#options.daemon;
    const child = spawn(file, args, {
      detached: true,
      cwd: '/',
      stdio: ['ignore', out, out],
      ...(env && { env }),
    });
    child.on('error', () => {});
    child.unref();
  }
}

export async function readText(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** The error that an answer carries: ours (`{error: {…}}`) or the agent's (`{code, message}`). */
function errorFrom(text: string, status: number): WarrenError {
  let body: { error?: ErrorShape; code?: unknown; message?: unknown } = {};
  try {
    body = JSON.parse(text);
  } catch {}
  if (body.error) return new WarrenError(body.error);
  const code = typeof body.code === 'string' ? body.code.replaceAll('_', '-') : `status-${status}`;
  return new WarrenError({
    code: `agent.${code}`,
    message: typeof body.message === 'string' ? body.message : `the agent answered ${status}`,
  });
}

function unreachable(cause: Error): WarrenError {
  return new WarrenError(
    {
      code: 'daemon.unreachable',
      message: `cannot reach the daemon: ${cause.message}`,
      remedy: 'warren daemon start',
    },
    { cause },
  );
}
