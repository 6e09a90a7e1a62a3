// Windows of HTTP/2 and buffers of streams count bytes. What nobody reads yet is held as it came, and a piece of one byte
// takes hundreds: whoever cuts bytes so fine would fill this computer's memory with a window of a few MiB.

import type { Readable } from 'node:stream';

const LIMIT = Symbol('limit');
const HELD = Symbol('held');

/** Without closures of its own: there may be many. */
interface Watched extends Readable {
  [LIMIT]: PieceLimit;
  [HELD]: number;
}

/** Of all streams that it watches together. */
export class PieceLimit {
  readonly most: number;
  #held = 0;

  constructor(most: number) {
    this.most = most;
  }

  /** Pieces that came and were not read. */
  get held(): number {
    return this.#held;
  }

  /** `stream` is ended with an error when it would hold one too many. */
  watch(stream: Readable): void {
    Object.assign(stream, { [LIMIT]: this, [HELD]: 0, push, read });
    stream.once('close', close);
  }

  count(stream: Watched, held: number): void {
    this.#held += held - stream[HELD];
    stream[HELD] = held;
  }
}

function push(this: Watched, piece: Buffer | null, encoding?: BufferEncoding): boolean {
  const { held, most } = this[LIMIT];
  if (piece !== null && held >= most) {
    this.destroy(new Error(`more than ${most} pieces wait to be read`));
    return false;
  }
  const goOn = Object.getPrototypeOf(this).push.call(this, piece, encoding);
  if (piece !== null) settle(this, this[HELD] + 1);
  return goOn;
}

function read(this: Watched, bytes?: number): Buffer | null {
  const piece: Buffer | null = Object.getPrototypeOf(this).read.call(this, bytes);
  if (piece !== null) settle(this, this[HELD] - 1);
  return piece;
}

function close(this: Watched): void {
  this[LIMIT].count(this, 0);
}

function settle(stream: Watched, held: number): void {
  // Node joins pieces when it reads them all.
  stream[LIMIT].count(stream, stream.readableLength === 0 ? 0 : Math.max(held, 1));
}
