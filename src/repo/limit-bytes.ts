// Lets a guest's stream pass up to a number of bytes, then fails with the error that names the number.

import { type Readable, Transform } from 'node:stream';
import { tooLarge } from './handback-error.ts';

export function limitBytes(source: Readable, maxBytes: number): Readable {
  let bytes = 0;
  const limited = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > maxBytes) done(tooLarge('the pack', bytes, maxBytes, 'bytes or more'));
      else done(null, chunk);
    },
  });
  source.once('error', (error) => limited.destroy(error));
  // A stream that closes without an end was cut off: an end must not be made up for it.
  source.once('close', () => {
    if (!source.readableEnded) limited.destroy(new Error('the stream was cut off'));
  });
  return source.pipe(limited);
}
