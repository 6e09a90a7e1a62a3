// gzip, zstd or nothing, told by the first bytes and not by what a manifest says of them.

import { Duplex, pipeline, Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { badLayer } from './layer-error.ts';

const MAGIC_BYTES = 6;

export function decompress(): Duplex {
  return Duplex.from(async function* (source: AsyncIterable<Buffer>) {
    const chunks = source[Symbol.asyncIterator]();
    let head = Buffer.alloc(0);
    let ended = false;
    while (head.length < MAGIC_BYTES && !ended) {
      const { value, done } = await chunks.next();
      if (done) ended = true;
      else head = Buffer.concat([head, value]);
    }
    const through = streamFor(head);
    const rest = (async function* () {
      if (head.length > 0) yield head;
      if (!ended) yield* { [Symbol.asyncIterator]: () => chunks };
    })();
    if (through === null) {
      yield* rest;
      return;
    }
    // Whoever reads `through` is told of a failure; nobody else needs to be.
    pipeline(Readable.from(rest, { objectMode: false }), through, () => {});
    yield* through as AsyncIterable<Buffer>;
  });
}

function streamFor(head: Buffer): Duplex | null {
  if (head[0] === 0x1f && head[1] === 0x8b) return createGunzip();
  // zstd's frames, or one that a decoder skips.
  if (head.length >= 4 && (head.readUInt32LE(0) === 0xfd2fb528 || head.readUInt32LE(0) >>> 4 === 0x184d2a5))
    return createZstdDecompress();
  if (head.subarray(0, 3).toString('latin1') === 'BZh' || head.toString('latin1', 0, 5) === '\xfd7zXZ')
    throw badLayer('it is compressed with bzip2 or xz, which images may not be');
  return null;
}
