// Bytes that come in pieces, put together in memory of their own. Whoever sends them chooses the pieces: a piece of one
// byte, kept as it came, takes more than a hundred.

const LEAST_BYTES = 64;

export class Gather {
  #buffer: Buffer = Buffer.alloc(0);
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  add(piece: Buffer): void {
    const needed = this.#bytes + piece.length;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length, LEAST_BYTES));
      this.#buffer.copy(larger, 0, 0, this.#bytes);
      this.#buffer = larger;
    }
    piece.copy(this.#buffer, this.#bytes);
    this.#bytes = needed;
  }

  /** What there is, until more is added. */
  look(): Buffer {
    return this.#buffer.subarray(0, this.#bytes);
  }

  /** What there is, which is the caller's then: it begins anew. */
  take(): Buffer {
    const all = this.look();
    this.#buffer = Buffer.alloc(0);
    this.#bytes = 0;
    return all;
  }
}
