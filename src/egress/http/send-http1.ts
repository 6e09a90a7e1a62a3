// Requests to an origin that speaks HTTP/1.1. Every byte of the head is built here from what was judged. The origin's
// answers are foreign: Node's strict parser reads them. Limits: 64 KiB of response head, 8 kept connections.

import { Agent, type ClientRequestArgs, type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { PieceLimit } from '../../host/limit-pieces.ts';
import type { Outcome, Outgoing, Sent, Sink } from './call.ts';
import { pairsOf, responseHeaders, trailersOf } from './headers.ts';

const MAX_HEAD_BYTES = 64 * 1024;
const MAX_KEPT = 8;
/** Methods that may be sent without a length and mean that there is no body. */
const WITHOUT_LENGTH = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS']);

/** The connections to one origin: verified before they come here, never opened here. */
export class Http1Origin {
  readonly #agent: HandedAgent;
  readonly #pieces: PieceLimit;

  /** `idleMs`: how long a connection that is not used is kept. */
  constructor(idleMs: () => number, pieces: PieceLimit) {
    this.#agent = new HandedAgent(idleMs);
    this.#pieces = pieces;
  }

  /** Whether a request could be sent now. */
  get ready(): boolean {
    return this.#agent.hasOne();
  }

  /** `socket` is connected, and its certificate verified. */
  add(socket: Socket): void {
    this.#agent.add(socket);
  }

  send(outgoing: Outgoing): Sent {
    const { promise: outcome, resolve } = Promise.withResolvers<Outcome>();
    const kept = !this.#agent.hasFresh();
    const sending = request({
      agent: this.#agent,
      host: ORIGIN,
      method: outgoing.method,
      path: outgoing.path,
      headers: flatHead(outgoing),
      maxHeaderSize: MAX_HEAD_BYTES,
      insecureHTTPParser: false,
    });
    sending.on('response', (response) => {
      this.#pieces.watch(response);
      resolve(responseOf(response, outgoing.method));
    });
    sending.on('upgrade', (response: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (!outgoing.websocket) {
        socket.destroy();
        resolve({ kind: 'failed', why: 'it switched protocols unasked', stale: false });
        return;
      }
      this.#pieces.watch(socket);
      if (head.length > 0) socket.unshift(head);
      resolve({ kind: 'switched', rawHeaders: response.rawHeaders, socket });
    });
    sending.on('error', (error: NodeJS.ErrnoException) =>
      resolve({ kind: 'failed', why: error.code ?? 'it broke off', stale: kept && isClosed(error) }),
    );
    sending.once('close', () => resolve({ kind: 'failed', why: 'it broke off', stale: false }));
    const sink: Sink = {
      stream: sending,
      end(trailers) {
        if (trailers.length > 0 && outgoing.body.kind === 'unknown')
          sending.addTrailers(trailersOf(trailers) as [string, string][]);
        sending.end();
      },
    };
    if (outgoing.body.kind === 'none') sending.end();
    // Otherwise the head would wait for the body's first byte, and an origin that answers early could not.
    else sending.flushHeaders();
    return { sink: outgoing.body.kind === 'none' ? null : sink, outcome, abort: () => sending.destroy() };
  }

  close(): void {
    this.#agent.destroy();
  }
}

const ORIGIN = 'origin';

/** Hands out connections that were made elsewhere. */
class HandedAgent extends Agent {
  readonly #fresh: Socket[] = [];

  readonly #idleMs: () => number;

  constructor(idleMs: () => number) {
    super({ keepAlive: true, maxFreeSockets: MAX_KEPT, scheduling: 'lifo' });
    this.#idleMs = idleMs;
    this.on('free', (socket: Socket) => {
      if (!socket.destroyed) socket.setTimeout(Math.min(socket.timeout || Infinity, this.#idleMs()));
    });
  }

  add(socket: Socket): void {
    this.#fresh.push(socket);
    socket.on('timeout', () => {
      if (this.#isFree(socket)) socket.destroy();
    });
  }

  #isFree(socket: Socket): boolean {
    return Object.values(this.freeSockets).some((sockets) => sockets?.includes(socket as never));
  }

  hasFresh(): boolean {
    while (this.#fresh.length > 0 && this.#fresh.at(-1)!.destroyed) this.#fresh.pop();
    return this.#fresh.length > 0;
  }

  hasOne(): boolean {
    if (this.hasFresh()) return true;
    return Object.values(this.freeSockets).some((sockets) => sockets?.some((each) => !each.destroyed));
  }

  override createConnection(
    _: ClientRequestArgs,
    done?: (error: Error | null, socket: Duplex) => void,
  ): Duplex | null | undefined {
    const socket = this.hasFresh() ? this.#fresh.pop() : undefined;
    if (socket) return socket;
    const error: NodeJS.ErrnoException = new Error('no connection is ready');
    error.code = 'ECONNRESET';
    done?.(error, undefined as never);
    return undefined;
  }

  override destroy(): void {
    for (const socket of this.#fresh) socket.destroy();
    super.destroy();
  }
}

function isClosed({ code }: NodeJS.ErrnoException): boolean {
  return code === 'ECONNRESET' || code === 'EPIPE';
}

function flatHead({
  authority,
  headers,
  spelling,
  body,
  method,
  websocket,
  wantsTrailers,
}: Outgoing): string[] {
  const flat = ['Host', authority];
  const seen = new Map<string, number>();
  for (const [name, value] of headers) {
    // It announces what follows chunks; Node throws when there are none.
    if (name === 'trailer' && body.kind !== 'unknown') continue;
    const nr = seen.get(name) ?? 0;
    seen.set(name, nr + 1);
    flat.push(spelling.get(name)?.[nr] ?? name, value);
  }
  if (websocket) flat.push('Connection', 'Upgrade', 'Upgrade', 'websocket');
  else if (wantsTrailers) flat.push('Connection', 'TE, keep-alive', 'TE', 'trailers');
  if (body.kind === 'length') flat.push('Content-Length', String(body.bytes));
  else if (body.kind === 'unknown') flat.push('Transfer-Encoding', 'chunked');
  else if (!WITHOUT_LENGTH.has(method)) flat.push('Content-Length', '0');
  return flat;
}

function responseOf(response: IncomingMessage, method: string): Outcome {
  const status = response.statusCode!;
  const bodiless = method === 'HEAD' || status === 204 || status === 304;
  return {
    kind: 'response',
    head: {
      status,
      message: (response.statusMessage ?? '').replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, ''),
      headers: responseHeaders(pairsOf(response.rawHeaders)),
      bodiless,
    },
    body: response,
    trailers: () => trailersOf(pairsOf(response.rawTrailers)),
  };
}
