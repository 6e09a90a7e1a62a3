// Hides values in a body as it passes, whatever it is: byte by byte, and each behind as many bytes as it has, so that no
// length, range or frame around it becomes untrue. Memory: one chunk, and less than the longest value.

import { Transform } from 'node:stream';
import { beginning } from './replace.ts';

/**
 * So much of what could be the beginning of a value passes at once: of bytes that are no text, every 256th message ends
 * like one, and who waits for its last byte would wait for the next message. What follows is still hidden.
 */
const LET_GO_BYTES = 2;

export interface Hidden {
  find: Buffer;
  /** As long. */
  mask: Buffer;
}

export class MaskingStream extends Transform {
  readonly #hidden: () => readonly Hidden[];
  /** The end of what has passed, when it could be the beginning of a value, and what was held of that. */
  #passed: Buffer = Buffer.alloc(0);
  #held: Buffer = Buffer.alloc(0);

  /** Asked anew for each chunk. */
  constructor(hidden: () => readonly Hidden[]) {
    super();
    this.#hidden = hidden;
  }

  override _transform(chunk: Buffer, _: string, done: () => void): void {
    const from = this.#passed.length;
    const isAlone = from === 0 && this.#held.length === 0;
    const hidden = this.#hidden();
    const all = isAlone ? chunk : Buffer.concat([this.#passed, this.#held, chunk]);
    const text = hide(all, from, isAlone, hidden);
    // What has passed is as it passed: a value may begin in it that another, known since, is a part of.
    this.#passed.copy(text);
    const open = Math.max(0, ...hidden.map(({ find }) => beginning(text, 0, find)));
    const start = text.length - open;
    const end = open <= LET_GO_BYTES ? text.length : Math.max(from, start);
    this.#passed = text.subarray(start, end);
    this.#held = text.subarray(end);
    if (end > from) this.push(text.subarray(from, end));
    done();
  }

  override _flush(done: () => void): void {
    this.push(this.#held);
    done();
  }
}

/**
 * What ends among the first `from` bytes has passed, and must not keep what it is a part of from being found. `isShared`:
 * somebody else may have the bytes too.
 */
function hide(text: Buffer, from: number, isShared: boolean, hidden: readonly Hidden[]): Buffer {
  const places = hidden.flatMap(({ find, mask }) =>
    placesOf(text, find, Math.max(0, from - find.length + 1)).map((at) => ({ at, mask })),
  );
  if (places.length === 0) return text;
  const own = isShared ? Buffer.from(text) : text;
  for (const { at, mask } of places) mask.copy(own, at);
  return own;
}

function placesOf(text: Buffer, find: Buffer, from: number): number[] {
  const places: number[] = [];
  for (let at = text.indexOf(find, from); at >= 0; at = text.indexOf(find, at + find.length)) places.push(at);
  return places;
}
