// Replaces strings in a body as it passes. What could be the beginning of one waits for the next chunk; nothing else
// does. Memory: one chunk, and less than the longest string.

import { Transform } from 'node:stream';

export interface Replacement {
  find: Buffer;
  /** Asked once for each place. A rejection ends the stream. */
  put(): Promise<Buffer> | Buffer;
}

export class ReplacingStream extends Transform {
  readonly #replacements: readonly Replacement[];
  #left: number;
  #held: Buffer = Buffer.alloc(0);

  /** What is behind the first `limitBytes` passes as it is. */
  constructor(replacements: readonly Replacement[], limitBytes = Infinity) {
    super();
    this.#replacements = replacements;
    this.#left = limitBytes;
  }

  override _transform(chunk: Buffer, _: string, done: (error?: Error | null) => void): void {
    if (this.#left <= 0) {
      this.push(this.#takeHeld());
      this.push(chunk);
      done();
    } else {
      this.#left -= chunk.length;
      const text = this.#held.length > 0 ? Buffer.concat([this.#held, chunk]) : chunk;
      this.#pass(text).then(() => done(), done);
    }
  }

  override _flush(done: () => void): void {
    this.push(this.#takeHeld());
    done();
  }

  async #pass(text: Buffer): Promise<void> {
    const out: Buffer[] = [];
    let from = 0;
    for (;;) {
      const next = this.#first(text, from);
      if (!next) break;
      out.push(text.subarray(from, next.at), await next.replacement.put());
      from = next.at + next.replacement.find.length;
    }
    const hold = Math.max(0, ...this.#replacements.map(({ find }) => beginning(text, from, find)));
    const end = text.length - hold;
    if (end > from) out.push(text.subarray(from, end));
    if (out.length > 0) this.push(out.length > 1 ? Buffer.concat(out) : out[0]);
    this.#held = text.subarray(end);
  }

  #first(text: Buffer, from: number): { at: number; replacement: Replacement } | null {
    let best: { at: number; replacement: Replacement } | null = null;
    for (const replacement of this.#replacements) {
      const at = text.indexOf(replacement.find, from);
      if (at >= 0 && (!best || at < best.at)) best = { at, replacement };
    }
    return best;
  }

  #takeHeld(): Buffer {
    const held = this.#held;
    this.#held = Buffer.alloc(0);
    return held;
  }
}

/** How many bytes at the end of `text` begin `find`. */
function beginning(text: Buffer, from: number, find: Buffer): number {
  for (let at = Math.max(from, text.length - find.length + 1); at < text.length; at++) {
    if (text[at] !== find[0]) continue;
    if (text.compare(find, 0, text.length - at, at) === 0) return text.length - at;
  }
  return 0;
}
