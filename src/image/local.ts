// Images that lie on this computer: an OCI layout (a folder or a tar of one), what `docker save` wrote, or the tar of a
// root file system. Their files are found by names that we know, never by a path that an image says.

import { createReadStream } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import * as v from 'valibot';
import { WarrenError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';
import type { Contents, LayerSource } from './contents.ts';
import { digestOf } from './digest.ts';
import { choosePlatform, type Descriptor, ownArchitecture, parseConfig, parseManifest } from './manifest.ts';
import { readTar } from './read-tar.ts';

/** The files of a layout, in a folder or in a tar. */
interface Files {
  read(name: string, maxBytes: number): Promise<Buffer | undefined>;
  open(name: string, from: number): Promise<Readable>;
}

const BLOB = /^sha256:([0-9a-f]{64})$/;
const INDEX_DEPTH_MAX = 3;
const savedSchema = v.pipe(
  v.array(
    v.object({
      Config: v.string(),
      Layers: v.pipe(v.array(v.string()), v.maxLength(limits.imageLayers)),
    }),
  ),
  v.minLength(1),
);

/** What identifies the bytes at a path without reading them. Throws `image.not-found`. */
export async function stampOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  const file = found?.isDirectory() ? await stat(join(path, 'index.json')).catch(() => undefined) : found;
  if (file?.isFile()) return `${file.dev} ${file.ino} ${file.size} ${file.mtimeMs}`;
  throw new WarrenError({
    code: 'image.not-found',
    message: `cannot use ${path}: ${found ? 'the folder is no OCI layout (it has no index.json)' : 'there is nothing'}`,
    remedy: 'name an OCI layout, what `docker save` wrote, or the tar of a root file system',
  });
}

export async function openLocal(path: string): Promise<Contents> {
  if ((await stat(path)).isDirectory()) return await openLayout(folderFiles(path), path);
  const head = Buffer.alloc(512);
  const file = await open(path, 'r');
  await file.read(head, 0, head.length, 0).finally(() => file.close());
  // A compressed one is taken for a root file system; whether it is one shows when it is unpacked.
  if (head.toString('latin1', 257, 262) !== 'ustar' && !isOldTar(head)) return rootFileSystem(path);
  const files = await archiveFiles(path);
  if (await files.read('oci-layout', 4096)) return await openLayout(files, path);
  const saved = await files.read('manifest.json', limits.imageManifestBytes);
  return saved ? await openSaved(files, saved, path) : rootFileSystem(path);
}

/** A name at the top that tells an archive of an image from a file system. */
export const ARCHIVE_NAMES: readonly string[] = ['oci-layout', 'manifest.json'];

function isOldTar(head: Buffer): boolean {
  return /^[0-7 ]{6}[\0 ]/.test(head.toString('latin1', 148, 156));
}

async function openLayout(files: Files, path: string): Promise<Contents> {
  let bytes = await files.read('index.json', limits.imageManifestBytes);
  let mediaType = '';
  for (let depth = 0; bytes; depth++) {
    const parsed = parseManifest(bytes, mediaType);
    if ('manifest' in parsed) {
      const { config, layers } = parsed.manifest;
      const { diffIds, ...rest } = parseConfig(await blob(files, config, path));
      if (diffIds.length !== layers.length) break;
      const sources = layers.map(
        ({ digest, size }, at): LayerSource => ({
          diffId: diffIds[at]!,
          blob: { digest, size },
          open: (from) => files.open(blobName(digest), from),
        }),
      );
      return { digest: digestOf(bytes), config: rest, layers: sources };
    }
    if (depth >= INDEX_DEPTH_MAX) break;
    const chosen = choosePlatform(parsed.index, ownArchitecture());
    bytes = await blob(files, chosen, path);
    mediaType = chosen.mediaType;
  }
  throw broken(path, 'its index, manifest and configuration do not fit together');
}

async function openSaved(files: Files, saved: Buffer, path: string): Promise<Contents> {
  let value: v.InferOutput<typeof savedSchema>;
  try {
    value = v.parse(savedSchema, JSON.parse(saved.toString('utf8')));
  } catch {
    throw broken(path, 'its manifest.json is not one');
  }
  const [image, another] = value;
  if (another) throw broken(path, `it holds ${value.length} images, and one is wanted`);
  const config = await files.read(image!.Config, limits.imageConfigBytes);
  if (!config) throw broken(path, 'its configuration is missing');
  const { diffIds, ...rest } = parseConfig(config);
  if (diffIds.length !== image!.Layers.length)
    throw broken(path, 'its manifest and its configuration do not fit together');
  const layers = image!.Layers.map(
    (name, at): LayerSource => ({ diffId: diffIds[at]!, blob: null, open: (from) => files.open(name, from) }),
  );
  return { digest: digestOf(config), config: rest, layers };
}

function rootFileSystem(path: string): Contents {
  const layer: LayerSource = {
    diffId: null,
    blob: null,
    open: async (from) => createReadStream(path, { start: from }),
  };
  return {
    digest: '',
    config: { os: 'linux', architecture: '', raw: null, settings: { user: 'root', workdir: '/', env: {} } },
    layers: [layer],
  };
}

async function blob(files: Files, { digest, size }: Descriptor, path: string): Promise<Buffer> {
  const bytes = await files.read(blobName(digest), Math.min(size, limits.imageConfigBytes));
  if (!bytes) throw broken(path, `${digest} is missing, or larger than it should be`);
  if (digestOf(bytes) === digest) return bytes;
  throw new WarrenError({
    code: 'image.digest-mismatch',
    message: `cannot use the image in ${path}: ${digest} is really ${digestOf(bytes)}`,
  });
}

function blobName(digest: string): string {
  return `blobs/sha256/${BLOB.exec(digest)![1]}`;
}

function folderFiles(folder: string): Files {
  return {
    read: async (name, maxBytes) => {
      const path = join(folder, name);
      const found = await stat(path).catch(() => undefined);
      return found?.isFile() && found.size <= maxBytes ? await readFile(path) : undefined;
    },
    open: async (name, from) => createReadStream(join(folder, name), { start: from }),
  };
}

async function archiveFiles(path: string): Promise<Files> {
  const entries = new Map((await readTar(path)).map((entry) => [entry.path.replace(/^(\.\/)+/, ''), entry]));
  const find = (name: string) => {
    const entry = entries.get(name);
    // `docker save` of old made links of layers that are the same.
    return entry?.kind === 'symlink' || entry?.kind === 'link'
      ? entries.get(join(name, '..', entry.to))
      : entry;
  };
  const stream = (offset: number, size: number) =>
    size <= 0 ? Readable.from([]) : createReadStream(path, { start: offset, end: offset + size - 1 });
  return {
    read: async (name, maxBytes) => {
      const entry = find(name);
      if (entry?.kind !== 'file' || entry.size > maxBytes) return undefined;
      const chunks: Buffer[] = [];
      for await (const chunk of stream(entry.offset, entry.size) as AsyncIterable<Buffer>) chunks.push(chunk);
      return Buffer.concat(chunks);
    },
    open: async (name, from) => {
      const entry = find(name);
      if (entry?.kind !== 'file') throw broken(path, `${JSON.stringify(name.slice(0, 100))} is missing`);
      return stream(entry.offset + from, entry.size - from);
    },
  };
}

function broken(path: string, why: string): WarrenError {
  return new WarrenError({ code: 'image.bad-manifest', message: `cannot use the image in ${path}: ${why}` });
}
