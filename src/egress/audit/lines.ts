// Cuts a file into lines, whatever is in it. Limit: of a line that is longer than a record may be, no more than that is
// held; it is told cut, and is no record.

import { createReadStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { MAX_LINE_BYTES } from './chain.ts';

export interface Line {
  /** Bytes as characters. One that was cut is longer than `MAX_LINE_BYTES`. */
  text: string;
  /** Where the next line begins. */
  end: number;
  /** The file ends here without a newline. */
  open: boolean;
}

/** A file that is handed over open stays open. */
export async function* linesOf(file: string | FileHandle, start = 0): AsyncGenerator<Line> {
  let held = '';
  let end = start;
  const take = (chunk: Buffer, from: number, to: number) => {
    end += to - from;
    const room = MAX_LINE_BYTES + 1 - held.length;
    if (room > 0) held += chunk.toString('latin1', from, Math.min(to, from + room));
  };
  const stream =
    typeof file === 'string'
      ? createReadStream(file, { start })
      : createReadStream('', { fd: file, autoClose: false, start });
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, from)) {
      take(chunk, from, at);
      end += 1;
      yield { text: held, end, open: false };
      held = '';
      from = at + 1;
    }
    take(chunk, from, chunk.length);
  }
  if (held.length > 0) yield { text: held, end, open: true };
}
