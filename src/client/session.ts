// A session: one process in a sandbox, over the agent's process service. It outlives the connection: `connect`
// takes up the output of one that is running.

import type { Readable } from 'node:stream';
import { EnvelopeReader, encodeEnvelope } from '../protocol/connect.ts';
import { WarrenError } from '../protocol/error.ts';
import { sandboxPath } from './call.ts';
import { readText, type Transport } from './transport.ts';

export interface SessionSpec {
  command: string;
  args: string[];
  env?: Record<string, string>;
  cwd?: string;
  user?: string;
  /** A terminal of this size; without it stdout and stderr are apart. */
  pty?: { cols: number; rows: number };
  /** Whether standard input will be sent. Default false: an empty input. */
  stdin?: boolean;
}

export type SessionEvent =
  | { kind: 'started'; pid: number }
  | { kind: 'output'; stream: 'stdout' | 'stderr' | 'pty'; bytes: Buffer }
  | { kind: 'ended'; exitCode: number; signal: string | null };

export class Session {
  readonly #transport: Transport;
  readonly #base: string;
  readonly #user: string | undefined;
  pid: number | undefined;

  private constructor(transport: Transport, base: string, user: string | undefined) {
    this.#transport = transport;
    this.#base = base;
    this.#user = user;
  }

  static on(transport: Transport, sandbox: string, user?: string): Session {
    return new Session(transport, `${sandboxPath(sandbox)}/agent`, user);
  }

  /** In a step of a build that failed and is kept open. */
  static inBuild(transport: Transport, id: string, user?: string): Session {
    return new Session(transport, `/v1/builds/${encodeURIComponent(id)}/agent`, user);
  }

  /** Starts the process and yields its events; the last one is `ended`. Leaving the loop leaves it running. */
  start(spec: SessionSpec, signal?: AbortSignal): AsyncGenerator<SessionEvent> {
    const { command, args, env, cwd, pty, stdin = false } = spec;
    return this.#events(
      '/process.Process/Start',
      {
        process: { cmd: command, args, ...(env && { envs: env }), ...(cwd && { cwd }) },
        ...(pty && { pty: { size: pty } }),
        stdin,
      },
      signal,
    );
  }

  /** Events of a process that runs already. */
  connect(pid: number, signal?: AbortSignal): AsyncGenerator<SessionEvent> {
    return this.#events('/process.Process/Connect', { process: { pid } }, signal);
  }

  async sendInput(bytes: Buffer, to: 'stdin' | 'pty'): Promise<void> {
    await this.#unary('SendInput', { input: { [to]: bytes.toString('base64') } });
  }

  async closeStdin(): Promise<void> {
    await this.#unary('CloseStdin', {});
  }

  async resize(cols: number, rows: number): Promise<void> {
    await this.#unary('Update', { pty: { size: { cols, rows } } });
  }

  /** `SIGNAL_SIGTERM`, `SIGNAL_SIGINT`, … */
  async signal(name: string): Promise<void> {
    await this.#unary('SendSignal', { signal: name });
  }

  async #unary(call: string, body: object): Promise<void> {
    const answer = await this.#transport.send({
      method: 'POST',
      path: `${this.#base}/process.Process/${call}`,
      headers: { ...this.#headers(), 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify({ process: { pid: this.pid }, ...body })),
    });
    await readText(answer);
  }

  async *#events(path: string, body: object, signal?: AbortSignal): AsyncGenerator<SessionEvent> {
    const answer: Readable = await this.#transport.send({
      method: 'POST',
      path: `${this.#base}${path}`,
      headers: { ...this.#headers(), 'content-type': 'application/connect+json' },
      body: encodeEnvelope(body),
      ...(signal && { signal }),
    });
    const reader = new EnvelopeReader();
    let ended = false;
    for await (const chunk of untilCut(answer, signal)) {
      for (const envelope of reader.push(chunk)) {
        if (envelope.error) {
          throw new WarrenError({
            code: `agent.${envelope.error.code.replaceAll('_', '-')}`,
            message: envelope.error.message,
          });
        }
        for (const event of eventsOf(envelope.value)) {
          // Whatever a hostile agent says of a process that has ended.
          if (ended) continue;
          if (event.kind === 'started') this.pid = event.pid;
          if (event.kind === 'ended') ended = true;
          yield event;
        }
      }
    }
    if (!ended) throw lost();
  }

  #headers(): Record<string, string> {
    return {
      'connect-protocol-version': '1',
      ...(this.#user !== undefined && {
        authorization: `Basic ${Buffer.from(`${this.#user}:`).toString('base64')}`,
      }),
    };
  }
}

/** Its bytes. One that breaks off is told in our words, unless we left it ourselves. */
async function* untilCut(answer: Readable, signal?: AbortSignal): AsyncGenerator<Buffer> {
  try {
    yield* answer as AsyncIterable<Buffer>;
  } catch (cause) {
    throw signal?.aborted ? cause : lost(cause);
  }
}

function lost(cause?: unknown): WarrenError {
  return new WarrenError(
    {
      code: 'machine.channel-closed',
      message: 'the connection to the sandbox was lost',
      remedy: 'look whether it still runs: warren ls',
    },
    { cause },
  );
}

interface WireEvent {
  start?: { pid?: number };
  data?: { stdout?: string; stderr?: string; pty?: string };
  end?: { exitCode?: number; exited?: boolean; status?: string };
}

function* eventsOf(value: unknown): Generator<SessionEvent> {
  const { event } = value as { event?: WireEvent };
  if (event?.start) yield { kind: 'started', pid: Number(event.start.pid ?? 0) };
  for (const stream of ['stdout', 'stderr', 'pty'] as const) {
    const data = event?.data?.[stream];
    if (typeof data === 'string') yield { kind: 'output', stream, bytes: Buffer.from(data, 'base64') };
  }
  if (event?.end) {
    const signal = /^signal: (.{1,40})$/.exec(event.end.status ?? '')?.[1] ?? null;
    yield { kind: 'ended', exitCode: Number(event.end.exitCode ?? 0), signal };
  }
}
