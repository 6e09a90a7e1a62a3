// A connection to an origin that is read in small pieces. Node reads 64 KiB at a time and decrypts all of it before it
// can be told to stop, and each stage of a flow would hold that again: too much when there are many.

import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** One record of TLS at its longest. */
const PIECE_BYTES = 16 * 1024 + 512;
/** All sockets read into the same bytes: what was read is taken out before another one can read. */
const shared = Buffer.allocUnsafe(PIECE_BYTES);

/** For `onread` of a new socket. */
export interface Reading {
  buffer: Buffer;
  callback(bytes: number): boolean;
}

export class Pieces extends Duplex {
  readonly reading: Reading;
  #socket: Socket | null = null;
  #ended = false;

  constructor() {
    super({ allowHalfOpen: true, readableHighWaterMark: 0, writableHighWaterMark: PIECE_BYTES });
    this.reading = {
      buffer: shared,
      callback: (bytes) => {
        const goOn = this.push(copy(bytes));
        if (!goOn) this.#socket?.pause();
        return goOn;
      },
    };
  }

  /** `socket`: connected, and made with `reading`. */
  over(socket: Socket): this {
    this.#socket = socket;
    socket.once('end', () => {
      this.#ended = true;
      this.push(null);
    });
    socket.on('error', (error) => this.destroy(error));
    // What came before its end may still be waiting for a reader.
    socket.once('close', () => {
      if (!this.#ended) this.destroy();
    });
    if (socket.destroyed) this.destroy();
    return this;
  }

  /** So that the other end sees an error, not an end. */
  reset(): void {
    // A socket that has sent its end cannot be reset, and would never be told closed.
    if (this.#socket && !this.#socket.writableEnded) this.#socket.resetAndDestroy();
    this.destroy();
  }

  override _read(): void {
    this.#socket?.resume();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket!.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket!.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket?.destroy();
    done(error);
  }
}

/** Not out of Node's pool, whose 64 KiB would stay as long as the piece. */
function copy(bytes: number): Buffer {
  const piece = Buffer.allocUnsafeSlow(bytes);
  shared.copy(piece, 0, 0, bytes);
  return piece;
}
