// One request to a port of a guest, on a connection of its own: what a hostile answer leaves behind ends with it.

import {
  type ClientRequest,
  type IncomingMessage,
  request as requestHttp,
  type ServerResponse,
} from 'node:http';
import type { Duplex } from 'node:stream';
import { PieceLimit } from '../host/limit-pieces.ts';
import { pour } from '../host/pour.ts';
import { WarrenError } from '../protocol/error.ts';
import type { GuestPort } from '../protocol/forwards.ts';
import { answerHeaders, requestHeaders } from './headers.ts';
import { FORWARD_LIMITS } from './limits.ts';
import type { Page } from './page.ts';
import { type RequestStart, valuesOf } from './read-request.ts';
import { abort, wasReset } from './relay.ts';
import type { StableName } from './stable-name.ts';

export interface Visit {
  request: IncomingMessage;
  response: ServerResponse;
  start: RequestStart;
  to: StableName;
  /** Of the listener. */
  port: number;
  open(): Promise<Duplex>;
  listening(): Promise<GuestPort[]>;
  show(page: Page): void;
}

export async function exchange(visit: Visit): Promise<void> {
  const guest = await openGuest(visit);
  if (guest === null) return;
  const { request, response } = visit;
  if (response.destroyed) return abort(guest);
  const sent = ask(visit, guest, false);
  const answered = Promise.withResolvers<void>();
  response.once('close', () => {
    if (!response.writableFinished) abort(guest);
    answered.resolve();
  });
  sent.once('response', (answer) => {
    try {
      pass(answer, guest, visit);
    } catch {
      // What is thrown out of an event would end the daemon.
      abort(guest);
      abort(request.socket);
    }
  });
  sent.once('upgrade', () => {
    abort(guest);
    broken(visit, new Error('it switches protocols without being asked'));
  });
  sent.on('error', (error) => broken(visit, error));
  request.pipe(sent);
  await answered.promise;
}

/** Null when a page was shown instead. */
export async function openGuest(visit: Visit): Promise<Duplex | null> {
  try {
    return await visit.open();
  } catch (error) {
    visit.show(await pageFor(visit, WarrenError.from(error)));
    return null;
  }
}

export function ask(visit: Visit, guest: Duplex, websocket: boolean): ClientRequest {
  const { request, start, port } = visit;
  const client = request.socket.remoteAddress ?? '127.0.0.1';
  const host = valuesOf(start.rawHeaders, 'host')[0]!;
  const sent = requestHttp({
    createConnection: () => guest,
    method: start.method,
    path: start.target,
    setHost: false,
    headers: requestHeaders(start.rawHeaders, start.method, { client, host, port }, websocket),
    insecureHTTPParser: false,
    maxHeaderSize: FORWARD_LIMITS.headerBytes,
  });
  // What was opened is paused.
  sent.once('socket', () => guest.resume());
  // None is left out; their bytes are limited.
  sent.maxHeadersCount = 0;
  return sent;
}

function pass(answer: IncomingMessage, guest: Duplex, visit: Visit): void {
  const { response } = visit;
  answer.on('error', () => abort(visit.request.socket));
  const status = answer.statusCode ?? 0;
  try {
    if (status < 200 || status > 599) throw new Error(`its status is ${status}`);
    // Node's parser takes any, and its writer keeps what it refused.
    if (/[^\t\x20-\x7e\x80-\xff]/.test(answer.statusMessage ?? ''))
      throw new Error('its status line has a control character');
    response.writeHead(status, answer.statusMessage ?? '', answerHeaders(answer.rawHeaders));
    response.flushHeaders();
  } catch (error) {
    answer.destroy();
    abort(guest);
    broken(visit, error as Error);
    return;
  }
  new PieceLimit(FORWARD_LIMITS.answerPieces).watch(answer);
  pour(answer, response);
  const isFramed = ['content-length', 'transfer-encoding'].some(
    (name) => valuesOf(answer.rawHeaders, name).length > 0,
  );
  answer.once('end', () =>
    // A stream that was reset tells an end first; half an answer must not look whole.
    setImmediate(() => {
      if (wasReset(guest) && !isFramed) return abort(visit.request.socket);
      response.end();
      guest.destroy();
      // Answered before all of it was sent: the rest is read and dropped.
      visit.request.unpipe();
      visit.request.resume();
    }),
  );
  answer.once('close', () => {
    if (!answer.readableEnded) abort(visit.request.socket);
  });
}

/** The guest's answer is none: a page, or the end of what was begun. */
export function broken(visit: Visit, error: Error): void {
  const { response } = visit;
  if (response.headersSent || response.destroyed) {
    if (!response.writableEnded && !response.destroyed) abort(visit.request.socket);
    return;
  }
  visit.show({
    status: 502,
    title: `Port ${visit.to.port} of sandbox "${visit.to.sandbox}" does not answer in HTTP/1.1`,
    lines: [`What it said cannot be read: ${error.message.slice(0, 200)}`],
  });
}

async function pageFor(visit: Visit, error: WarrenError): Promise<Page> {
  const { port, sandbox } = visit.to;
  if (error.code === 'sandbox.not-found')
    return {
      status: 404,
      title: `There is no sandbox "${sandbox}"`,
      lines: ['warren ls tells which there are.'],
    };
  if (error.code === 'agent.unavailable') {
    const listening = await visit.listening().catch(() => []);
    const rest = listening.length > 0 ? 'These ports listen:' : 'No port listens there.';
    return {
      status: 502,
      title: `Nothing listens at port ${port} of sandbox "${sandbox}"`,
      lines: [rest],
      listening,
    };
  }
  return {
    status: 503,
    title: `Port ${port} of sandbox "${sandbox}" cannot be reached`,
    lines: [error.message, ...(error.remedy === undefined ? [] : [error.remedy])],
  };
}
