// The guest's side of HTTP/1.1, in plain text or inside intercepted TLS. The bytes are hostile: Node's strict parser
// reads them, `read-head.ts` refuses what is left of ambiguity, and a connection that sent anything broken is closed.
// Limits: 64 KiB of head within 10 s, 32 requests waiting on one connection.

import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { DoorLimits } from '../flow/parts.ts';
import { abort } from '../flow/relay.ts';
import type { Call, ResponseHead } from './call.ts';
import { exchange } from './exchange.ts';
import { type HeaderList, pairsOf } from './headers.ts';
import type { HttpFlow } from './http-flow.ts';
import { type BadHead, type ReadHead, readHttp1 } from './read-head.ts';
import { answerOf, failure, type Refusal } from './refusal.ts';
import { refuseHead } from './refuse-head.ts';

const KEEP_ALIVE_MS = 75_000;
const MAX_WAITING = 32;
const CHECK_EVERY_MS = 1_000;

interface Connection {
  http: HttpFlow;
  /** One after the other, as they would be at the origin. */
  last: Promise<void>;
  waiting: number;
}

/** One for all flows of a door; it listens nowhere. */
export class FrontHttp1 {
  readonly #server: Server;
  readonly #connections = new WeakMap<Duplex, Connection>();

  constructor({ headerBytes, handshakeMs }: DoorLimits) {
    this.#server = createServer({
      insecureHTTPParser: false,
      maxHeaderSize: headerBytes,
      headersTimeout: handshakeMs,
      requestTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: Math.min(CHECK_EVERY_MS, handshakeMs),
      requireHostHeader: false,
      // A host is looked for in all of them, so none may be left out.
      joinDuplicateHeaders: false,
    });
    this.#server.maxHeadersCount = 0;
    // A client may end its side and still wait for the answer.
    Object.assign(this.#server, { httpAllowHalfOpen: true });
    this.#server.on('request', (request, response) => this.#take(request, response));
    this.#server.on('checkContinue', (request, response) => this.#take(request, response));
    this.#server.on('checkExpectation', (request, response) => this.#take(request, response));
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#server.on('connect', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#server.on('clientError', (error, socket) => this.#broken(error, socket));
    // The checks of `headersTimeout` begin with it.
    this.#server.emit('listening');
  }

  serve(socket: Duplex, http: HttpFlow): void {
    this.#connections.set(socket, { http, last: Promise.resolve(), waiting: 0 });
    this.#server.emit('connection', socket);
    // Node's parser takes the bytes of a TLS socket from its handle, which goes on when the parser was paused because answers
    // wait to be taken: the next request would break the connection (HPE_PAUSED). It gives that up for a listener.
    socket.on('data', ignore).off('data', ignore);
  }

  close(): void {
    this.#server.close(() => {});
    this.#server.closeAllConnections();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => {});
    // Node has let go of the connection, and the answer before would still be written to it.
    if (isAnswering(socket)) {
      this.#tooEarly(request, socket);
      return;
    }
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as never);
    // What it sent behind its head is for nobody; unread, it would hide the client's end.
    response.once('finish', () => socket.end().resume());
    if (head.length > 0) socket.unshift(head);
    this.#take(request, response, socket);
  }

  #take(request: IncomingMessage, response: ServerResponse, upgraded?: Duplex): void {
    const connection = this.#connections.get(request.socket as Duplex);
    if (!connection || connection.waiting >= MAX_WAITING) {
      request.socket.destroy();
      return;
    }
    connection.waiting += 1;
    connection.http.flow.door.pieces.watch(request);
    connection.last = connection.last
      .then(() => this.#answer(connection.http, request, response, upgraded))
      .catch(() => abort(request.socket as Duplex))
      .finally(() => {
        connection.waiting -= 1;
      });
  }

  async #answer(http: HttpFlow, request: IncomingMessage, response: ServerResponse, upgraded?: Duplex) {
    const start = {
      method: request.method ?? '',
      path: request.url ?? '',
      version: request.httpVersion,
      rawHeaders: request.rawHeaders,
    };
    const read = readHttp1(start, http.flow.target, http.protocol);
    const call = new Http1Call('status' in read ? null : read, request, response, upgraded);
    if ('status' in read) {
      await refuseHead(http, start, read);
      call.refuse(failure(read.status, read.why));
    } else await exchange(call, http);
  }

  #tooEarly({ method = '?', url = '' }: IncomingMessage, socket: Duplex): void {
    const connection = this.#connections.get(socket);
    const why = 'it wants to switch behind a request that is not answered yet';
    if (connection) void refuseHead(connection.http, { method, path: url }, { status: 400, why });
    abort(socket);
  }

  /** What cannot be read is answered once and the connection closed; what was under way ends with it. */
  #broken(error: NodeJS.ErrnoException, socket: Duplex): void {
    const connection = this.#connections.get(socket);
    const answered = (socket as { _httpMessage?: ServerResponse })._httpMessage?.headersSent;
    if (!connection || answered || !socket.writable || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const bad = badOf(error.code);
    void refuseHead(connection.http, { method: '?', path: '' }, bad);
    const { headers, body } = answerOf(failure(bad.status, bad.why), {});
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    socket.end(`HTTP/1.1 ${bad.status} Refused\r\n${lines}connection: close\r\n\r\n${body}`, () =>
      socket.destroy(),
    );
  }
}

function ignore(): void {}

function isAnswering(socket: Duplex): boolean {
  return Boolean((socket as { _httpMessage?: ServerResponse })._httpMessage);
}

function badOf(code: string | undefined): BadHead {
  if (code === 'HPE_HEADER_OVERFLOW') return { status: 431, why: 'the head of the request is too long' };
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return { status: 400, why: 'the head of the request came too slowly' };
  return { status: 400, why: 'the request is not correct HTTP/1.1' };
}

class Http1Call implements Call {
  readonly version = 1;
  readonly read: ReadHead;
  readonly spelling: Call['spelling'];
  readonly body: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #upgraded: Duplex | undefined;

  constructor(
    read: ReadHead | null,
    request: IncomingMessage,
    response: ServerResponse,
    upgraded: Duplex | undefined,
  ) {
    this.read = read as ReadHead;
    this.body = request;
    this.#response = response;
    this.#upgraded = upgraded;
    this.spelling = Map.groupBy(
      request.rawHeaders.filter((_, at) => at % 2 === 0),
      (name) => name.toLowerCase(),
    );
    request.on('error', () => {});
    response.on('error', () => {});
  }

  trailers(): HeaderList {
    return pairsOf(this.body.rawTrailers);
  }

  get gone(): boolean {
    return this.#response.destroyed || this.body.socket.destroyed;
  }

  onGone(callback: () => void): void {
    if (this.gone) callback();
    else {
      this.#response.once('close', () => {
        if (!this.#response.writableFinished) callback();
      });
    }
  }

  onLeft(callback: () => void): void {
    this.onGone(callback);
    const { socket } = this.body;
    if ('encrypted' in socket) socket.once('end', callback);
  }

  sendContinue(): void {
    this.#response.writeContinue();
  }

  refuse(refusal: Refusal): void {
    const { status, headers, body } = answerOf(refusal, { accept: this.body.headers.accept });
    // The rest of a body is not waited for.
    if (!this.body.complete || refusal.code === 'bad-request' || this.#upgraded)
      this.#response.shouldKeepAlive = false;
    this.#response.writeHead(status, [...headers.flat()]);
    this.#response.end(this.body.method === 'HEAD' ? '' : body);
  }

  begin({ status, message, headers, bodiless }: ResponseHead) {
    const response = this.#response;
    // It announces what follows chunks; Node throws when there are none.
    const chunked =
      !bodiless && this.body.httpVersion === '1.1' && !headers.some(([name]) => name === 'content-length');
    const told = chunked ? headers : headers.filter(([name]) => name !== 'trailer');
    response.writeHead(status, message, told.flat());
    response.flushHeaders();
    return {
      stream: response,
      end(trailers: HeaderList) {
        if (trailers.length > 0 && response.hasHeader('trailer')) response.addTrailers(trailers as never);
        response.end();
      },
    };
  }

  switchProtocols(rawHeaders: readonly string[]): Duplex {
    const socket = this.#upgraded!;
    this.#response.detachSocket(socket as never);
    let head = 'HTTP/1.1 101 Switching Protocols\r\n';
    for (let at = 0; at < rawHeaders.length; at += 2) head += `${rawHeaders[at]}: ${rawHeaders[at + 1]}\r\n`;
    socket.write(`${head}\r\n`, 'latin1');
    return socket;
  }

  abort(): void {
    abort(this.body.socket as Duplex);
  }
}
