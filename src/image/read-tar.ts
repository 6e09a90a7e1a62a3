// The index of a tar that lies in a file: headers are read, file data is not.

import { open } from 'node:fs/promises';
import { type TarEntry, TarIndexer } from './tar-index.ts';

const WINDOW_BYTES = 128 * 1024;
/** Data that is shorter is read over; a jump costs more. */
const JUMP_BYTES = 64 * 1024;

export async function readTar(path: string): Promise<TarEntry[]> {
  const file = await open(path, 'r');
  try {
    const indexer = new TarIndexer();
    const window = Buffer.alloc(WINDOW_BYTES);
    const { size } = await file.stat();
    while (!indexer.ended && indexer.position < size) {
      if (indexer.skippable >= JUMP_BYTES) indexer.skip(Math.min(indexer.skippable, size - indexer.position));
      const { bytesRead } = await file.read(window, 0, WINDOW_BYTES, indexer.position);
      // The indexer may keep a part of what it is given.
      if (bytesRead > 0) indexer.push(Buffer.from(window.subarray(0, bytesRead)));
    }
    return indexer.finish();
  } finally {
    await file.close();
  }
}
