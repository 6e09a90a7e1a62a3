// QEMU's monitor protocol: one JSON object a line; answers carry the id of their command, events come between.
// https://www.qemu.org/docs/master/interop/qmp-spec.html

import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { reachableSocketPath } from '../../../host/socket-path.ts';
import { WarrenError } from '../../../protocol/error.ts';

const ANSWER_TIMEOUT_MS = 60_000;
const LISTEN_TIMEOUT_MS = 2_000;

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
}

export class Qmp {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #onEvent = new Set<(event: string, data: Record<string, unknown>) => void>();
  #next = 1;
  readonly closed: Promise<void>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => {});
    socket.once('close', () => {
      for (const { reject } of this.#waiting.values()) reject(gone());
      this.#waiting.clear();
    });
    const lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY });
    lines.on('line', (line) => this.#onLine(line));
    // The socket's own listeners tell what happened; readline says it once more.
    lines.on('error', () => {});
  }

  static async open(socketPath: string): Promise<Qmp> {
    const socket = await reach(socketPath);
    const qmp = new Qmp(socket);
    await qmp.execute('qmp_capabilities');
    return qmp;
  }

  async execute<T>(command: string, args?: Record<string, unknown>): Promise<T> {
    if (this.#socket.destroyed) throw gone();
    const id = this.#next++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timer = setTimeout(() => {
      reject(new WarrenError({ code: 'machine.vmm-silent', message: `QEMU did not answer ${command}` }));
    }, ANSWER_TIMEOUT_MS);
    this.#waiting.set(id, { resolve, reject });
    this.#socket.write(`${JSON.stringify({ execute: command, id, ...(args && { arguments: args }) })}\n`);
    try {
      return (await promise) as T;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  on(event: string, listener: (data: Record<string, unknown>) => void): void {
    this.#onEvent.add((name, data) => {
      if (name === event) listener(data);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #onLine(line: string): void {
    let message: {
      id?: number;
      return?: unknown;
      error?: { desc?: string; class?: string };
      event?: string;
      data?: object;
    };
    try {
      message = JSON.parse(line);
    } catch {
      this.#socket.destroy();
      return;
    }
    if (message.event !== undefined) {
      for (const listener of this.#onEvent)
        listener(message.event, (message.data ?? {}) as Record<string, unknown>);
      return;
    }
    const waiting = message.id === undefined ? undefined : this.#waiting.get(message.id);
    if (!waiting) return;
    if (message.error) {
      waiting.reject(
        new WarrenError({
          code: 'machine.vmm-refused',
          message: `QEMU refused: ${message.error.desc ?? message.error.class}`,
        }),
      );
    } else waiting.resolve(message.return);
  }
}

/** QEMU's socket is there a moment before it listens. */
async function reach(socketPath: string): Promise<Socket> {
  const path = reachableSocketPath(socketPath);
  const deadline = Date.now() + LISTEN_TIMEOUT_MS;
  try {
    for (;;) {
      const socket = connect(path.name);
      try {
        await new Promise<void>((resolve, reject) => {
          socket.once('connect', resolve).once('error', reject);
        });
        return socket;
      } catch (cause) {
        const refused = (cause as NodeJS.ErrnoException).code === 'ECONNREFUSED';
        if (!refused || Date.now() > deadline) throw gone(cause);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    }
  } finally {
    path.release();
  }
}

function gone(cause?: unknown): WarrenError {
  return new WarrenError({ code: 'machine.vmm-gone', message: 'the connection to QEMU was lost' }, { cause });
}
