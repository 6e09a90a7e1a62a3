// The guest's side of HTTP/2 inside intercepted TLS. The bytes are hostile. Limits: 100 requests at once on one
// connection, 64 KiB of head, 1 MiB of unread body per request, 64 KiB with many flows.

import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import type { DoorLimits } from '../flow/parts.ts';
import { abort } from '../flow/relay.ts';
import { areMany } from '../flow/share.ts';
import type { Call, ResponseHead } from './call.ts';
import { exchange } from './exchange.ts';
import { type HeaderList, pairsOf, valuesOf } from './headers.ts';
import type { HttpFlow } from './http-flow.ts';
import { type ReadHead, readHttp2 } from './read-head.ts';
import { answerOf, type Client, failure, type Refusal } from './refusal.ts';
import { refuseHead } from './refuse-head.ts';
import { objectOf, REPEATS_PASS, sendTrailers } from './send-http2.ts';

const MAX_STREAMS = 100;
/** An emulated guest takes 30 ms to hear of more room: a few flows may have more under way. */
const WINDOW_BYTES = { few: 1024 * 1024, many: 64 * 1024 };
const MAX_HEADER_PAIRS = 300;
const MAX_SESSION_MIB = 4;
const IDLE_MS = 600_000;

export function serveHttp2(socket: Duplex, http: HttpFlow, { headerBytes }: DoorLimits): ServerHttp2Session {
  const windowBytes = areMany(http.flow.door.flows) ? WINDOW_BYTES.many : WINDOW_BYTES.few;
  const session = performServerHandshake(socket, {
    settings: {
      maxConcurrentStreams: MAX_STREAMS,
      initialWindowSize: windowBytes,
      maxHeaderListSize: headerBytes,
      enablePush: false,
    },
    maxHeaderListPairs: MAX_HEADER_PAIRS,
    maxSessionMemory: MAX_SESSION_MIB,
    ...REPEATS_PASS,
  });
  session.setLocalWindowSize(4 * windowBytes);
  session.on('error', () => {});
  // Not the session's own: Node 24 does not clear that one when the session is destroyed, and so keeps the session.
  const idle = setTimeout(() => session.close(), IDLE_MS).unref();
  session.once('close', () => clearTimeout(idle));
  session.on('stream', (stream, headers, flags, rawHeaders?: string[]) => {
    idle.refresh();
    stream.on('error', () => {});
    http.flow.door.pieces.watch(stream);
    const ended = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    void answer(stream, rawHeaders ?? flat(headers), ended, http).catch(() => abort(stream));
  });
  return session;
}

async function answer(stream: ServerHttp2Stream, raw: string[], ended: boolean, http: HttpFlow) {
  const read = readHttp2(raw, ended, http.flow.target);
  const call = new Http2Call('status' in read ? null : read, raw, stream);
  if (!('status' in read)) return exchange(call, http);
  const pairs = pairsOf(raw);
  const [method = '?'] = valuesOf(pairs, ':method');
  const [path = ''] = valuesOf(pairs, ':path');
  await refuseHead(http, { method, path }, read);
  call.refuse(failure(read.status, read.why));
}

function flat(headers: IncomingHttpHeaders): string[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    [value].flat().flatMap((each) => (each === undefined ? [] : [name, each])),
  );
}

class Http2Call implements Call {
  readonly version = 2;
  readonly read: ReadHead;
  readonly spelling: Call['spelling'] = new Map();
  readonly body: ServerHttp2Stream;
  readonly #client: Client;
  readonly #isHead: boolean;
  #trailers: HeaderList = [];

  constructor(read: ReadHead | null, raw: string[], stream: ServerHttp2Stream) {
    this.read = read as ReadHead;
    this.body = stream;
    const pairs = pairsOf(raw);
    const [contentType] = valuesOf(pairs, 'content-type');
    this.#client = { accept: valuesOf(pairs, 'accept').join(', '), contentType };
    this.#isHead = valuesOf(pairs, ':method')[0] === 'HEAD';
    stream.on('trailers', (_, __, rawTrailers?: string[]) => {
      this.#trailers = pairsOf(rawTrailers ?? []);
    });
  }

  trailers(): HeaderList {
    return this.#trailers;
  }

  get gone(): boolean {
    return this.body.closed || this.body.destroyed;
  }

  onGone(callback: () => void): void {
    if (this.gone) callback();
    else
      this.body.once('close', () => {
        if (!this.body.writableFinished || this.body.rstCode !== constants.NGHTTP2_NO_ERROR) callback();
      });
  }

  onLeft(callback: () => void): void {
    this.onGone(callback);
  }

  sendContinue(): void {
    this.body.additionalHeaders({ ':status': 100 });
  }

  refuse(refusal: Refusal): void {
    if (this.gone) return;
    const { status, headers, body } = answerOf(refusal, this.#client);
    const endStream = this.#isHead || body === '';
    this.body.respond({ ':status': status, ...objectOf(headers) }, { endStream });
    if (!endStream) this.body.end(body);
    // What else it wanted to send is not waited for.
    this.body.once('finish', () => {
      if (!this.body.readableEnded) this.body.close(constants.NGHTTP2_NO_ERROR);
    });
  }

  begin({ status, headers, bodiless }: ResponseHead) {
    const stream = this.body;
    let sent: HeaderList = [];
    stream.on('wantTrailers', () => sendTrailers(stream, sent));
    stream.respond(
      { ':status': status, ...objectOf(headers) },
      { endStream: bodiless, waitForTrailers: !bodiless },
    );
    return {
      stream,
      end(trailers: HeaderList) {
        sent = trailers;
        if (!bodiless) stream.end();
      },
    };
  }

  switchProtocols(): never {
    throw new Error('HTTP/2 has no upgrade');
  }

  abort(): void {
    abort(this.body);
  }
}
