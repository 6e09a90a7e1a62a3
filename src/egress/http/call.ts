// One request under way, whichever version of HTTP its two sides speak: `Call` is the guest's side, `Upstream` the
// origin's.

import type { Readable, Writable } from 'node:stream';
import type { HeaderList } from './headers.ts';
import type { ReadHead } from './read-head.ts';
import type { Refusal } from './refusal.ts';

export interface ResponseHead {
  status: number;
  message: string;
  headers: HeaderList;
  /** No body follows, whatever the headers say. */
  bodiless: boolean;
}

/** Where a body goes. */
export interface Sink {
  stream: Writable;
  /** After the last byte. */
  end(trailers: HeaderList): void;
}

export interface Call {
  version: 1 | 2;
  read: ReadHead;
  /** How the client spelled the names of its headers, by their lower-case form, in order. */
  spelling: ReadonlyMap<string, readonly string[]>;
  /** Nothing is read from it before somebody asks. */
  body: Readable;
  trailers(): HeaderList;
  /** Whether the client has gone; nothing may be sent upstream then. */
  readonly gone: boolean;
  /** Called once, at once if it has gone already. */
  onGone(callback: () => void): void;
  /** Likewise; also when it has ended its side, where nobody who waits for an answer does. */
  onLeft(callback: () => void): void;
  sendContinue(): void;
  refuse(refusal: Refusal): void;
  begin(head: ResponseHead): Sink;
  /** For a WebSocket: the raw connection, after an answer of 101 was written to it. */
  switchProtocols(rawHeaders: readonly string[]): import('node:stream').Duplex;
  abort(): void;
}

export interface Outgoing {
  method: string;
  path: string;
  /** As in the request's `Host`. */
  authority: string;
  scheme: 'http' | 'https';
  headers: HeaderList;
  body: ReadHead['body'];
  websocket: boolean;
  wantsTrailers: boolean;
  spelling: Call['spelling'];
}

export interface Response {
  kind: 'response';
  head: ResponseHead;
  body: Readable;
  trailers(): HeaderList;
}

export interface Switched {
  kind: 'switched';
  rawHeaders: readonly string[];
  socket: import('node:stream').Duplex;
}

/** `stale`: a kept connection turned out to be closed; nothing was read of an answer. */
export type Outcome = Response | Switched | { kind: 'failed'; why: string; stale: boolean };

/** A request that was begun upstream. */
export interface Sent {
  /** Null when there is no body to send. */
  sink: Sink | null;
  outcome: Promise<Outcome>;
  abort(): void;
}
