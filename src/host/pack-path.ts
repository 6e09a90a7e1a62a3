// A file or folder of this computer as a tar. Links travel as links: nothing outside of what was named is read.

import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';

/** `name`: what it is called in the tar. What cannot be read ends the tar with an error. */
export function packPath(source: string, name: string): Readable {
  const archive = pack();
  add(archive, source, name).then(
    () => archive.finalize(),
    (error: Error) => archive.destroy(error),
  );
  // tar-stream's streams are streamx's: readable streams in all that they are used for, but not by type.
  return archive as unknown as Readable;
}

async function add(archive: Pack, path: string, name: string): Promise<void> {
  const found = await lstat(path);
  const header = { name, mode: found.mode & 0o777, mtime: found.mtime };
  if (found.isDirectory()) {
    await entry(archive, { ...header, type: 'directory' });
    for (const child of (await readdir(path)).sort())
      await add(archive, join(path, child), `${name}/${child}`);
  } else if (found.isSymbolicLink()) {
    await entry(archive, { ...header, type: 'symlink', linkname: await readlink(path) });
  } else if (found.isFile()) {
    const sink = archive.entry({ ...header, type: 'file', size: found.size });
    await pipeline(createReadStream(path, found.size > 0 ? { end: found.size - 1 } : {}), sink);
  }
}

function entry(archive: Pack, header: Parameters<Pack['entry']>[0]): Promise<void> {
  return new Promise((resolve, reject) => {
    archive.entry(header, (error) => (error ? reject(error) : resolve()));
  });
}
