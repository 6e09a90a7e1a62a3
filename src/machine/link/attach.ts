// Attaches to one stream of the channel: a unix socket becomes a Duplex that carries HTTP/2 of this attach
// only. Everything read here comes from a guest: hostile; bounded by bytes and by time.

import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { reachableSocketPath } from '../../host/socket-path.ts';
import { WarrenError } from '../../protocol/error.ts';
import { limits } from '../../protocol/limits.ts';
import { AckScanner, EPOCH_BYTES, encodeData, encodeHello } from './frames.ts';

export interface AttachOptions {
  /** Default `limits.channelAttachTimeoutMs`. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** What the first try waits; each further one waits twice as long. */
const FIRST_TRY_MS = 3_000;

/**
 * Knocks again when nothing answers: rarely, a machine that was just restored sleeps through the first knock, and each one
 * is an event that wakes it. Throws `machine.agent-silent`, `machine.agent-garbage` or `machine.agent-generation`.
 */
export async function attach(socketPath: string, options: AttachOptions = {}): Promise<Duplex> {
  const { timeoutMs = limits.channelAttachTimeoutMs, signal } = options;
  const endMs = performance.now() + timeoutMs;
  for (let tryMs = FIRST_TRY_MS; ; tryMs *= 2) {
    const leftMs = endMs - performance.now();
    const isLast = leftMs <= tryMs;
    try {
      return await attachOnce(socketPath, isLast ? Math.max(leftMs, 1) : tryMs, signal);
    } catch (error) {
      if (!isLast && WarrenError.from(error).code === 'machine.agent-silent') continue;
      throw isLast ? told(error, timeoutMs) : error;
    }
  }
}

async function attachOnce(
  socketPath: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Duplex> {
  const path = reachableSocketPath(socketPath);
  const socket = connect(path.name);
  const epoch = randomBytes(EPOCH_BYTES);
  try {
    const rest = await handshake(socket, epoch, timeoutMs, signal);
    return new ChannelStream(socket, rest);
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    path.release();
  }
}

/** How long it was in all. */
function told(error: unknown, timeoutMs: number): unknown {
  if (WarrenError.from(error).code !== 'machine.agent-silent') return error;
  const message = `the agent did not answer within ${timeoutMs} ms`;
  return new WarrenError({ code: 'machine.agent-silent', message }, { cause: error });
}

function handshake(socket: Socket, epoch: Buffer, timeoutMs: number, signal?: AbortSignal): Promise<Buffer> {
  const scanner = new AckScanner(epoch);
  return new Promise<Buffer>((resolve, reject) => {
    const silent = () => fail({ code: 'machine.agent-silent', message: `no answer within ${timeoutMs} ms` });
    const timer = setTimeout(silent, timeoutMs);
    const settle = () => {
      clearTimeout(timer);
      socket.off('data', onData).off('error', onError).off('close', onClose);
      signal?.removeEventListener('abort', onAbort);
    };
    const fail = (shape: { code: `machine.${string}`; message: string }, cause?: unknown) => {
      settle();
      reject(new WarrenError(shape, { cause }));
    };
    const onData = (chunk: Buffer) => {
      const scan = scanner.push(chunk);
      if (scan.kind === 'more') return;
      if (scan.kind === 'too-much') {
        fail({
          code: 'machine.agent-garbage',
          message: `the agent sent ${scan.scannedBytes} bytes that are no answer`,
        });
      } else if (scan.generation !== limits.agentGeneration) {
        fail({
          code: 'machine.agent-generation',
          message: `the agent speaks generation ${scan.generation}, this host ${limits.agentGeneration}`,
        });
      } else {
        settle();
        socket.pause();
        resolve(Buffer.from(scan.rest));
      }
    };
    const onError = (error: NodeJS.ErrnoException) => {
      // Earlier knocks wait to be taken: a VMM that stands still is as silent as its agent.
      if (error.code === 'EAGAIN') return;
      fail({ code: 'machine.channel-closed', message: `cannot reach the agent: ${error.message}` }, error);
    };
    const onClose = () => {
      if (socket.errored && (socket.errored as NodeJS.ErrnoException).code === 'EAGAIN') return;
      fail({ code: 'machine.channel-closed', message: 'the channel closed before the agent answered' });
    };
    const onAbort = () => fail({ code: 'machine.channel-closed', message: 'cancelled' }, signal?.reason);
    socket.on('data', onData).on('error', onError).on('close', onClose);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    else socket.write(encodeHello(epoch, limits.agentGeneration));
  });
}

/** Frames what goes out; passes on what comes in. Back-pressure of the socket is that of the stream. */
class ChannelStream extends Duplex {
  readonly #socket: Socket;

  constructor(socket: Socket, first: Buffer) {
    super({ allowHalfOpen: false, writableHighWaterMark: 256 * 1024, readableHighWaterMark: 256 * 1024 });
    this.#socket = socket;
    if (first.length > 0) this.push(first);
    socket.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(encodeData(chunk), done);
  }

  override _writev(
    chunks: { chunk: Buffer; encoding: BufferEncoding }[],
    done: (error?: Error | null) => void,
  ): void {
    const joined = chunks.length === 1 ? chunks[0]!.chunk : Buffer.concat(chunks.map(({ chunk }) => chunk));
    this.#send(encodeData(joined), done);
  }

  #send(parts: Buffer[], done: (error?: Error | null) => void): void {
    this.#socket.cork();
    const last = parts.pop();
    if (last === undefined) {
      this.#socket.uncork();
      done();
      return;
    }
    for (const part of parts) this.#socket.write(part);
    this.#socket.write(last, (error) => done(error));
    this.#socket.uncork();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
