// The host's end of the `agent` stream: one HTTP/2 session to the agent, attached again when it is lost. The
// agent is hostile: each answer has a limit in bytes and a limit in time.

import { EventEmitter } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { PieceLimit } from '../../host/limit-pieces.ts';
import { WarrenError } from '../../protocol/error.ts';
import { agentError, copyBody, lost, readJson, type StreamAnswer } from './answer.ts';
import { type AttachOptions, attach } from './attach.ts';

const MIB = 1024 * 1024;
/** The window holds as many events of a session at their smallest, and they take 40 MiB. */
const PIECES_MAX = 300_000;

export interface JsonCall {
  method?: 'GET' | 'POST' | 'PUT';
  body?: unknown;
  headers?: OutgoingHttpHeaders;
  timeoutMs?: number;
  signal?: AbortSignal;
}

export class Link extends EventEmitter<{ closed: [] }> {
  readonly #session: ClientHttp2Session;
  readonly #pieces = new PieceLimit(PIECES_MAX);

  private constructor(session: ClientHttp2Session) {
    super();
    this.#session = session;
    session.on('error', () => {});
    session.on('close', () => this.emit('closed'));
  }

  static async open(socketPath: string, options: AttachOptions = {}): Promise<Link> {
    const stream = await attach(socketPath, options);
    const session = connect('http://agent', {
      createConnection: () => stream,
      settings: { initialWindowSize: 4 * MIB, enablePush: false },
      maxSessionMemory: 64,
      peerMaxConcurrentStreams: 512,
    });
    const link = new Link(session);
    await new Promise<void>((resolve, reject) => {
      session.once('connect', () => {
        // What the guest sent with its ACK may have ended it already.
        if (session.destroyed) return reject(lost());
        session.setLocalWindowSize(16 * MIB);
        resolve();
      });
      session.once('close', () => reject(lost()));
    });
    return link;
  }

  get closed(): boolean {
    return this.#session.closed || this.#session.destroyed;
  }

  /**
   * Sends a request and waits for the head of its answer, whatever its status. Destroying `body` ends the exchange.
   * Throws `machine.channel-closed`.
   */
  async exchange(
    headers: OutgoingHttpHeaders,
    { payload, signal }: { payload?: Buffer | Readable | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<StreamAnswer> {
    if (this.closed) throw lost();
    let stream: ClientHttp2Stream;
    try {
      stream = this.#session.request(headers, {
        endStream: payload === undefined,
        ...(signal && { signal }),
      });
    } catch (cause) {
      throw lost(cause);
    }
    this.#pieces.watch(stream);
    // Read from the first moment on: a stream that ends before somebody reads it counts as cut short.
    const body = copyBody(stream);
    const head = new Promise<StreamAnswer['headers']>((resolve, reject) => {
      stream.once('response', (answer) => resolve(answer as StreamAnswer['headers']));
      stream.once('error', (cause) => reject(lost(cause)));
      stream.once('close', () => reject(lost()));
    });
    // A refusal may come before the payload was taken: the head of the answer decides.
    if (Buffer.isBuffer(payload)) stream.end(payload);
    else if (payload) pipeline(payload, stream, { end: true }).catch(() => {});
    const answer = await head;
    return { status: Number(answer[':status']), headers: answer, body };
  }

  /** One call with a JSON answer of at most `limits.agentJsonBytes`. Errors of the agent keep their code. */
  async json<T>(path: string, call: JsonCall = {}): Promise<T> {
    const body = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
    const answer = await this.send(path, {
      ...call,
      ...(body && { headers: { 'content-type': 'application/json', ...call.headers } }),
      ...(body && { payload: body }),
    });
    return (await readJson(answer)) as T;
  }

  /** Sends a request with an optional payload and waits for the head of the answer; throws on an error status. */
  async send(path: string, call: JsonCall & { payload?: Buffer | Readable }): Promise<StreamAnswer> {
    const { method = call.payload === undefined ? 'GET' : 'POST', timeoutMs = 30_000, payload } = call;
    const deadline = timeoutMs === 0 ? undefined : AbortSignal.timeout(timeoutMs);
    const signals = [deadline, call.signal].filter((signal) => signal !== undefined);
    const answer = await this.exchange(
      { ':method': method, ':path': path, ...call.headers },
      { payload, signal: signals.length > 0 ? AbortSignal.any(signals) : undefined },
    ).catch((error: unknown) => {
      throw deadline?.aborted ? silent(path, timeoutMs) : error;
    });
    if (answer.status < 400) return answer;
    const shape = (await readJson(answer).catch(() => ({}))) as { code?: string; message?: string };
    throw agentError(path, answer.status, shape);
  }

  /** Sends a tar and waits for a good answer; what was not taken of the tar is let go. Throws as `send`. */
  async sendTar(
    path: string,
    tar: Readable,
    call: Pick<JsonCall, 'method' | 'timeoutMs' | 'signal'>,
  ): Promise<void> {
    try {
      const headers = { 'content-type': 'application/x-tar' };
      const { body } = await this.send(path, { ...call, payload: tar, headers });
      body.resume();
    } finally {
      tar.destroy();
    }
  }

  /**
   * A byte stream to `authority`, a port of the guest's loopback; paused, so that nothing of one that ends at once is
   * lost before somebody reads. Throws as `send`.
   */
  async connect(authority: string, signal?: AbortSignal): Promise<ClientHttp2Stream> {
    if (this.closed) throw lost();
    let stream: ClientHttp2Stream;
    try {
      stream = this.#session.request(
        { ':method': 'CONNECT', ':authority': authority },
        { endStream: false, ...(signal && { signal }) },
      );
    } catch (cause) {
      throw lost(cause);
    }
    this.#pieces.watch(stream);
    stream.on('error', () => {});
    const refusal = new PassThrough();
    refusal.on('error', () => {});
    const status = await new Promise<number>((resolve, reject) => {
      stream.once('response', (answer) => {
        if (Number(answer[':status']) === 200) stream.pause();
        else pipeline(stream, refusal).catch(() => {});
        resolve(Number(answer[':status']));
      });
      stream.once('error', (cause) => reject(lost(cause)));
      stream.once('close', () => reject(lost()));
    });
    if (status === 200) return stream;
    stream.end();
    const shape = await readJson({ status, headers: {}, body: refusal }).catch(() => ({}));
    throw agentError(`CONNECT ${authority}`, status, shape as { code?: string; message?: string });
  }

  close(): void {
    this.#session.destroy();
  }
}

function silent(path: string, timeoutMs: number): WarrenError {
  return new WarrenError({
    code: 'machine.agent-silent',
    message: `the agent did not answer ${path.split('?')[0]} within ${timeoutMs} ms`,
  });
}
