// Lets a guest's stream pass up to a number of bytes, then fails with the error that names the number. A stream
// that is cut off is an error too: no end is made up for it.

import { type Readable, Transform } from 'node:stream';
import { interrupted, tooLarge } from './handback-error.ts';

export function limitBytes(source: Readable, maxBytes: number): Readable {
  let bytes = 0;
  const limited = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > maxBytes) done(tooLarge('the pack', bytes, maxBytes, 'bytes or more'));
      else done(null, chunk);
    },
  });
  const cut = (cause?: unknown) =>
    limited.destroy(interrupted('the stream from the sandbox broke off', cause));
  source.once('error', cut);
  source.once('close', () => {
    if (!source.readableEnded) cut();
  });
  if (source.destroyed) cut(source.errored);
  return source.pipe(limited);
}
