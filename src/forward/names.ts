// The listener of all stable names: HTTP/1.1 on 127.0.0.1 and ::1, routed by the Host header, which must be one of ours
// (so a page of a foreign name that resolves to loopback gets nothing). Its clients are this user's programs.

import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Connections } from './connections.ts';
import { exchange, type Visit } from './exchange.ts';
import { codeOf, type Loopback, listen } from './listen.ts';
import { type Page, renderPage } from './page.ts';
import type { ForwardParts } from './parts.ts';
import { readRequest, valuesOf } from './read-request.ts';
import { abort } from './relay.ts';
import { switchProtocols } from './switch.ts';

export class NamesListener {
  port = 0;
  readonly #parts: ForwardParts;
  readonly #connections: Connections;
  readonly #servers: Server[] = [];
  readonly #owned = new WeakMap<Socket, Promise<boolean>>();
  readonly #pending = new WeakMap<Socket, number>();

  private constructor(parts: ForwardParts, connections: Connections) {
    this.#parts = parts;
    this.#connections = connections;
  }

  /** Rejects with the system's error (`EADDRINUSE`) when either address is taken. 0 is any free port. */
  static async open(parts: ForwardParts, connections: Connections, port: number): Promise<NamesListener> {
    const names = new NamesListener(parts, connections);
    try {
      names.port = await names.#listen(port, '127.0.0.1');
      await names.#listen(names.port, '::1').catch((error: unknown) => {
        if (codeOf(error) === 'EADDRINUSE') throw error; // Somebody else's answers would look like ours.
      });
      return names;
    } catch (error) {
      names.close();
      throw error;
    }
  }

  close(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
  }

  async #listen(port: number, host: Loopback): Promise<number> {
    const { limits } = this.#connections;
    const server = createServer({
      insecureHTTPParser: false,
      requireHostHeader: false,
      joinDuplicateHeaders: false,
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headMs,
      requestTimeout: 0,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: Math.min(1_000, limits.headMs),
      noDelay: true,
      // All else that a client would upgrade to is answered in HTTP/1.1.
      shouldUpgradeCallback: (request) => /^websocket$/i.test(request.headers.upgrade?.trim() ?? ''),
    });
    server.maxConnections = limits.clients;
    server.maxHeadersCount = 0;
    // A client that ends its side before the answer has gone, as for other proxies: an idle stream of events would
    // be held for nobody otherwise. Half-close is for WebSockets and forwards.
    server.on('request', (request, response) => this.#take(request, response));
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      const response = rawResponse(request, socket);
      if (response) this.#take(request, response, { socket, head });
    });
    server.on('connect', (request: IncomingMessage, socket: Socket) => {
      const response = rawResponse(request, socket);
      if (response) this.#take(request, response);
    });
    server.on('clientError', (_error, socket) => {
      if (!socket.writable || answering(socket)?.headersSent) socket.destroy();
      else socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    });
    const bound = await listen(server, port, host);
    this.#servers.push(server);
    return bound;
  }

  #take(
    request: IncomingMessage,
    response: ServerResponse,
    upgraded?: { socket: Socket; head: Buffer },
  ): void {
    const { socket } = request;
    const pending = (this.#pending.get(socket) ?? 0) + 1;
    if (pending > this.#connections.limits.pipelined) return void socket.destroy();
    this.#pending.set(socket, pending);
    response.once('close', () => this.#pending.set(socket, (this.#pending.get(socket) ?? 1) - 1));
    response.on('error', () => {});
    request.on('error', () => {});
    this.#answer(request, response, upgraded).catch(() => abort(socket));
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    upgraded?: { socket: Socket; head: Buffer },
  ): Promise<void> {
    const { socket } = request;
    const isOwn = this.#owned.get(socket) ?? this.#parts.isOwn(socket);
    this.#owned.set(socket, isOwn);
    if (!(await isOwn)) return void socket.destroy();
    const start = {
      method: request.method ?? '',
      target: request.url ?? '',
      version: request.httpVersion,
      rawHeaders: request.rawHeaders,
    };
    const read = readRequest(start, this.port);
    const html = valuesOf(request.rawHeaders, 'accept').some((value) => value.includes('text/html'));
    const show = (page: Page) => {
      if (response.headersSent || response.destroyed) return abort(socket);
      const { body, headers } = renderPage(page, html, read.kind === 'request' ? read.to : null, this.port);
      // What is left of the request's body is not read.
      if (!request.complete || upgraded) response.shouldKeepAlive = false;
      response.writeHead(page.status, headers).end(request.method === 'HEAD' ? undefined : body);
    };
    if (read.kind === 'refused') {
      const ours = `Ports of sandboxes are at http://PORT-NAME.localhost:${this.port}/; warren forward ls NAME names them.`;
      return show({ status: read.status, title: `Refused: ${read.why}`, lines: [ours] });
    }
    const visit: Visit = {
      ...{ request, response, start, to: read.to, port: this.port, show },
      open: () => this.#connections.open(read.to.sandbox, read.to.port),
      listening: () => this.#parts.listening(read.to.sandbox),
    };
    if (upgraded) await switchProtocols(visit, upgraded.socket, upgraded.head);
    else await exchange(visit);
  }
}

/**
 * For a connection that Node's server has let go of. Null behind a request that is not answered yet, whose answer would
 * still be written to it: then it is ended.
 */
function rawResponse(request: IncomingMessage, socket: Socket): ServerResponse | null {
  socket.on('error', () => {});
  if (answering(socket)) {
    abort(socket);
    return null;
  }
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', () => {
    response.detachSocket(socket);
    socket.end();
    socket.resume();
  });
  return response;
}

function answering(socket: Duplex): ServerResponse | undefined {
  return (socket as { _httpMessage?: ServerResponse })._httpMessage;
}
