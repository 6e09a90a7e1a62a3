// Windows of HTTP/2 count bytes. What nobody reads yet is held as it came, and a piece of one byte takes more than a
// hundred: a guest that cuts its bytes so fine would fill this computer's memory with a window of a few MiB.

import type { Http2Stream } from 'node:http2';

/** Of the streams of one connection together. */
export class PieceLimit {
  readonly #most: number;
  #held = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Pieces that came and were not read. */
  get held(): number {
    return this.#held;
  }

  /** `stream` is ended with an error when it would hold one too many. */
  watch(stream: Http2Stream): void {
    let held = 0;
    const settle = (now: number) => {
      // Node joins pieces when it reads them all.
      const next = stream.readableLength === 0 ? 0 : Math.max(now, 1);
      this.#held += next - held;
      held = next;
    };
    const push = stream.push.bind(stream);
    stream.push = (piece, encoding) => {
      if (piece !== null && this.#held >= this.#most) {
        stream.destroy(new Error(`more than ${this.#most} pieces wait to be read`));
        return false;
      }
      const goOn = push(piece, encoding);
      if (piece !== null) settle(held + 1);
      return goOn;
    };
    const read = stream.read.bind(stream);
    stream.read = (bytes) => {
      const piece = read(bytes);
      if (piece !== null) settle(held - 1);
      return piece;
    };
    stream.once('close', () => {
      this.#held -= held;
      held = 0;
    });
  }
}
