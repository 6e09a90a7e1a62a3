// Requests to an origin that speaks HTTP/2, over one connection per flow. What the origin sends is foreign. Limits:
// 64 KiB of response head, 1 MiB of unread body per request, 64 KiB once many are under way.

import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type Http2Stream,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { PieceLimit } from '../../host/limit-pieces.ts';
import { abort } from '../flow/relay.ts';
import type { Outcome, Outgoing, Sent } from './call.ts';
import { type HeaderList, pairsOf, responseHeaders, trailersOf } from './headers.ts';

const MAX_HEAD_BYTES = 64 * 1024;
const WIDE_WINDOW_BYTES = 1024 * 1024;
const NARROW_WINDOW_BYTES = 64 * 1024;
const MANY_REQUESTS = 16;
const CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024;
/** Node throws where a header that it knows as single stands there twice, as many origins have it. */
export const REPEATS_PASS = { strictSingleValueFields: false };

export class Http2Origin {
  readonly #session: ClientHttp2Session;
  readonly #pieces: PieceLimit;
  #open = 0;
  #wide: boolean;

  /** `socket` is connected, its certificate verified and `h2` agreed on. */
  constructor(socket: TLSSocket, wide: boolean, pieces: PieceLimit) {
    this.#wide = wide;
    this.#pieces = pieces;
    this.#session = connect('https://origin', {
      createConnection: () => socket,
      maxHeaderListPairs: 512,
      ...REPEATS_PASS,
      settings: {
        enablePush: false,
        initialWindowSize: wide ? WIDE_WINDOW_BYTES : NARROW_WINDOW_BYTES,
        maxHeaderListSize: MAX_HEAD_BYTES,
      },
    });
    this.#session.on('error', () => {});
    this.#session.on('connect', () => this.#session.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
  }

  get ready(): boolean {
    return !this.#session.closed && !this.#session.destroyed;
  }

  send(outgoing: Outgoing): Sent {
    const { promise: outcome, resolve } = Promise.withResolvers<Outcome>();
    const bodyless = outgoing.body.kind === 'none';
    let stream: ClientHttp2Stream;
    try {
      stream = this.#session.request(headersOf(outgoing), {
        endStream: bodyless,
        waitForTrailers: !bodyless,
      });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const stale = code === 'ERR_HTTP2_GOAWAY_SESSION' || code === 'ERR_HTTP2_INVALID_SESSION';
      resolve({ kind: 'failed', why: code ?? 'it broke off', stale });
      return { sink: null, outcome, abort: () => {} };
    }
    this.#watch(stream);
    this.#pieces.watch(stream);
    let trailers: HeaderList = [];
    let sent: HeaderList = [];
    stream.on('trailers', (_: IncomingHttpHeaders, __: number, raw?: string[]) => {
      trailers = trailersOf(pairsOf(raw ?? []));
    });
    stream.on('wantTrailers', () => sendTrailers(stream, trailersOf(sent)));
    stream.on('response', (_, flags, raw?: string[]) => {
      const headers = pairsOf(raw ?? []);
      const ended = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      resolve({
        kind: 'response',
        head: {
          status: Number(headers.find(([name]) => name === ':status')?.[1]),
          message: '',
          headers: responseHeaders(headers.filter(([name]) => !name.startsWith(':'))),
          bodiless: ended || outgoing.method === 'HEAD',
        },
        body: stream,
        trailers: () => trailers,
      });
    });
    stream.on('error', (error: NodeJS.ErrnoException) => {
      const stale = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
      resolve({ kind: 'failed', why: error.code ?? 'it broke off', stale });
    });
    stream.once('close', () => resolve({ kind: 'failed', why: 'it broke off', stale: false }));
    return {
      sink: bodyless
        ? null
        : {
            stream,
            end(list) {
              sent = list;
              stream.end();
            },
          },
      outcome,
      abort: () => abort(stream),
    };
  }

  close(): void {
    this.#session.destroy();
  }

  #watch(stream: ClientHttp2Stream): void {
    this.#open += 1;
    stream.once('close', () => {
      this.#open -= 1;
    });
    if (this.#wide && this.#open > MANY_REQUESTS) {
      this.#wide = false;
      this.#session.settings({ initialWindowSize: NARROW_WINDOW_BYTES });
    }
  }
}

function headersOf({ method, path, scheme, authority, headers, body, wantsTrailers }: Outgoing) {
  return {
    ':method': method,
    ':scheme': scheme,
    ':authority': authority,
    ':path': path,
    ...objectOf(headers),
    ...(body.kind === 'length' && { 'content-length': String(body.bytes) }),
    ...(wantsTrailers && { te: 'trailers' }),
  };
}

/** Called from events, where what is thrown would end the whole door. */
export function sendTrailers(stream: Http2Stream, trailers: HeaderList): void {
  try {
    stream.sendTrailers(objectOf(trailers));
  } catch {
    abort(stream);
  }
}

/** Repeated names become lists. */
export function objectOf(headers: HeaderList): OutgoingHttpHeaders {
  const object: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of headers) {
    const before = object[name];
    if (before === undefined) object[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else object[name] = [before, value];
  }
  return object;
}
