// Replaces strings in a body as it passes. What could be the beginning of one waits for the next chunk; nothing else
// does. Memory: one chunk, and less than the longest string.

import { Transform } from 'node:stream';

export interface Replacement {
  find: Buffer;
  /** Asked once for each place. A rejection ends the stream. */
  put(): Promise<Buffer> | Buffer;
}

export class ReplacingStream extends Transform {
  readonly #replacements: () => readonly Replacement[];
  #held: Buffer = Buffer.alloc(0);

  /** Asked anew for each chunk. */
  constructor(replacements: () => readonly Replacement[]) {
    super();
    this.#replacements = replacements;
  }

  override _transform(chunk: Buffer, _: string, done: (error?: Error | null) => void): void {
    const text = this.#held.length > 0 ? Buffer.concat([this.#held, chunk]) : chunk;
    this.#pass(text).then(() => done(), done);
  }

  override _flush(done: () => void): void {
    this.push(this.#held);
    done();
  }

  async #pass(text: Buffer): Promise<void> {
    const out: Buffer[] = [];
    const replacements = this.#replacements();
    const next = nextPlace(text, replacements);
    let from = 0;
    for (let place = next(0); place; place = next(from)) {
      out.push(text.subarray(from, place.at), await place.replacement.put());
      from = place.at + place.replacement.find.length;
    }
    const hold = Math.max(0, ...replacements.map(({ find }) => beginning(text, from, find)));
    const end = text.length - hold;
    if (end > from) out.push(text.subarray(from, end));
    if (out.length > 0) this.push(out.length > 1 ? Buffer.concat(out) : out[0]);
    this.#held = text.subarray(end);
  }
}

/** The first from there on; asked for with growing numbers, each byte is looked at once for each replacement. */
function nextPlace(text: Buffer, replacements: readonly Replacement[]) {
  const places = replacements.map((replacement) => ({ replacement, at: text.indexOf(replacement.find) }));
  return (from: number) => {
    let best: (typeof places)[number] | null = null;
    for (const place of places) {
      if (place.at >= 0 && place.at < from) place.at = text.indexOf(place.replacement.find, from);
      if (place.at >= 0 && (!best || place.at < best.at)) best = place;
    }
    return best;
  };
}

/** How many bytes at the end of `text` begin `find`. */
export function beginning(text: Buffer, from: number, find: Buffer): number {
  for (let at = Math.max(from, text.length - find.length + 1); at < text.length; at++) {
    if (text[at] !== find[0]) continue;
    if (text.compare(find, 0, text.length - at, at) === 0) return text.length - at;
  }
  return 0;
}
