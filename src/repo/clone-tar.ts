// The tar that `git/clone` takes: the manifest first, then packs with their indexes, then carried files. It is
// made while it is read, so memory stays small whatever the history's size.

import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import tar from 'tar-stream';
import { type CarriedFile, openCarried } from './carry.ts';
import type { CloneManifest } from './manifest.ts';

export interface TarFile {
  name: string;
  path: string;
  bytes: number;
}

export function cloneTar(
  manifest: CloneManifest,
  files: readonly TarFile[],
  root: string,
  carried: readonly CarriedFile[],
): Readable {
  const pack = tar.pack();
  const fill = async () => {
    const json = Buffer.from(JSON.stringify(manifest));
    await addEntry(pack, { name: 'clone.json', size: json.length, mode: 0o600 }, Readable.from([json]));
    for (const file of files) {
      await addEntry(pack, { name: file.name, size: file.bytes, mode: 0o600 }, createReadStream(file.path));
    }
    for (const file of carried) {
      const header = { name: `carry/${file.path}`, size: file.bytes, mode: file.executable ? 0o755 : 0o644 };
      await addEntry(pack, header, await openCarried(root, file));
    }
    pack.finalize();
  };
  fill().catch((error: unknown) => pack.destroy(error instanceof Error ? error : new Error(String(error))));
  return Readable.from(pack);
}

async function addEntry(
  pack: tar.Pack,
  header: { name: string; size: number; mode: number },
  content: Readable,
): Promise<void> {
  const entry = pack.entry({ ...header, mtime: new Date(0) });
  await pipeline(content, entry);
}
