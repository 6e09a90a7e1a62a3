// A file that a repository may have made: a link may make it a device that never ends, or a pipe that nobody writes to.

import { constants, open } from 'node:fs/promises';

/** Throws with `code` ENOENT when it is not there, and with the end of a sentence when it is no file or too large. */
export async function readLimited(path: string, maxBytes: number): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = await file.stat();
    if (!found.isFile()) throw new Error('it is no file');
    if (found.size > maxBytes) throw tooLarge(maxBytes);
    const chunks: Buffer[] = [];
    // Files of the kernel say that they are empty, and others grow.
    for await (const chunk of file.createReadStream({ end: maxBytes, autoClose: false })) chunks.push(chunk);
    const content = Buffer.concat(chunks);
    if (content.length > maxBytes) throw tooLarge(maxBytes);
    return content;
  } finally {
    await file.close();
  }
}

function tooLarge(maxBytes: number): Error {
  return new Error(`it is larger than ${maxBytes} bytes`);
}
