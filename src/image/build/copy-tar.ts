// What a COPY sends into the machine: a tar whose first entry says what is meant, then the entries of each source under
// its number (docs/CHANNEL.md, build). Everything belongs to root, as container engines have it.

import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import { WarrenError } from '../../protocol/error.ts';
import type { Picked } from './pick.ts';
import { pieceBytes } from './piece-bytes.ts';

export type CopySourceContent =
  | { kind: 'picked'; folder: string; picked: Picked }
  | { kind: 'text'; name: string; content: string }
  | { kind: 'download'; name: string; file: string; bytes: number; mtime: Date };

const TEXT_MODE = 0o644;
const DOWNLOAD_MODE = 0o600;

/** `head`: what `copy.json` says. */
export function copyTar(head: object, sources: readonly CopySourceContent[]): Readable {
  const to = pack();
  fill(to, head, sources).then(
    () => to.finalize(),
    (error: Error) => to.destroy(error),
  );
  return Readable.from(to as AsyncIterable<Buffer>, { objectMode: false });
}

/** The tar of a tree of its own. */
export function treeTar(folder: string, picked: Picked): Readable {
  const to = pack();
  addPicked(to, folder, picked, (at) => at).then(
    () => to.finalize(),
    (error: Error) => to.destroy(error),
  );
  return Readable.from(to as AsyncIterable<Buffer>, { objectMode: false });
}

async function fill(to: Pack, head: object, sources: readonly CopySourceContent[]): Promise<void> {
  await addBytes(to, { name: 'copy.json', mode: TEXT_MODE }, Buffer.from(JSON.stringify(head)));
  for (const [nr, source] of sources.entries()) {
    const number = String(nr);
    if (source.kind === 'text')
      await addBytes(to, { name: number, mode: TEXT_MODE }, Buffer.from(source.content));
    else if (source.kind === 'download') {
      const { bytes: size, mtime, file } = source;
      await addFile(to, { name: number, mode: DOWNLOAD_MODE, size, mtime }, file);
    } else {
      const isFolder = source.picked.entries[0]?.entry.kind === 'folder';
      await addPicked(to, source.folder, source.picked, (at) => (isFolder ? `${number}/${at}` : number));
    }
  }
}

async function addPicked(
  to: Pack,
  folder: string,
  { entries }: Picked,
  nameOf: (at: string) => string,
): Promise<void> {
  for (const { at, entry } of entries) {
    const name = nameOf(at);
    const mtime = new Date(Number(entry.mtimeNs / 1_000_000n));
    // With the bits of its type: tar-stream takes a mode of 0 for none.
    const header = {
      mode: entry.mode | (entry.kind === 'file' ? 0o100_000 : 0o040_000),
      uid: 0,
      gid: 0,
      mtime,
    };
    if (name === '') continue;
    if (entry.kind === 'file')
      await addFile(to, { ...header, name, size: entry.size }, join(folder, entry.path));
    else if (entry.kind === 'symlink')
      await addBytes(to, { ...header, name, type: 'symlink', linkname: entry.to, mode: 0o777 });
    else await addBytes(to, { ...header, name: name.endsWith('/') ? name : `${name}/`, type: 'directory' });
  }
}

type Header = Parameters<Pack['entry']>[0];

async function addBytes(to: Pack, header: Header, content: Buffer = Buffer.alloc(0)): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    to.entry({ uid: 0, gid: 0, ...header }, content, (error) => (error ? reject(error) : resolve()));
  });
}

async function addFile(to: Pack, header: Header & { size: number }, path: string): Promise<void> {
  const entry = to.entry({ uid: 0, gid: 0, ...header });
  try {
    const highWaterMark = pieceBytes(header.size, 256 * 1024);
    await pipeline(createReadStream(path, { highWaterMark }), entry);
  } catch (cause) {
    throw new WarrenError(
      {
        code: 'environment.context',
        message: `cannot copy ${path}: ${(cause as Error).message} (did it change while it was read?)`,
        remedy: 'build again',
      },
      { cause },
    );
  }
}
