// Layers and settings → an image: one file system of metadata over the layers' tars, which every image that has them
// shares. Nothing is unpacked on the host.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolderAtomic } from '../host/atomic-file.ts';
import { imageFiles, storeFolders } from '../host/layout.ts';
import { ensurePrivateFolder } from '../host/private-folder.ts';
import type { Progress } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import { digestOf } from './digest.ts';
import { encodeErofs, type TarPlace } from './erofs.ts';
import { type Image, type ImageRecord, readImage } from './image.ts';
import type { StoredLayer } from './layer.ts';
import type { ImageSettings } from './manifest.ts';
import { readTar } from './read-tar.ts';
import { Tree } from './tree.ts';

/** Raised when the same layers give another disk. */
const RECIPE = 2;
/** So many layers, the largest, are disks that all images share; the others are copied, for a machine has few slots. */
const SHARED_LAYERS_MAX = 12;
/** A smaller one is not worth a disk. */
const SHARED_LAYER_MIN_BYTES = 256 * 1024;

export interface LayeredImage {
  /** Lowest first. */
  layers: StoredLayer[];
  settings: ImageSettings;
  /** For people: what it was made of. */
  from: string;
}

/** The image with these layers and settings, made once. */
export async function ensureImageOf(
  { layers, settings, from }: LayeredImage,
  { store, onProgress = () => {} }: { store: string; onProgress?: (progress: Progress) => void },
): Promise<Image> {
  const folders = storeFolders(store);
  const all = layers.map(({ diffId, bytes }) => ({ diffId, bytes }));
  const id = digestOf(JSON.stringify([RECIPE, settings, all])).replace('sha256:', '');
  const folder = join(folders.images, id.slice(0, 24));
  const known = await readImage(folder, folders.layers);
  if (known) return known;
  onProgress({ step: 'merging the layers' });
  await ensurePrivateFolder(folders.images);
  await makeFolderAtomic(folder, async (temporary) => {
    const files = imageFiles(temporary);
    const { shared, ...written } = await writeTree(files.layer(0), layers, { workdir: settings.workdir });
    const record: ImageRecord = {
      id,
      from,
      settings,
      layers: [{ file: 'layer-0.erofs', ...written }],
      tars: shared.map(({ diffId, bytes }) => ({ diffId, bytes })),
      diffIds: all.map(({ diffId }) => diffId),
      createdAt: new Date().toISOString(),
    };
    await writeFile(files.record, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o444, flush: true });
    await chmod(temporary, 0o755);
  }).catch((error: NodeJS.ErrnoException) => {
    // Another process made the same one meanwhile.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
  const image = await readImage(folder, folders.layers);
  if (image) return image;
  throw new WarrenError({
    code: 'image.build-failed',
    message: `the image in ${folder} vanished after it was made`,
  });
}

/**
 * Merges layers into one file system: a file of metadata, and tars that it points into; those of `shared` are disks of
 * their own behind it, in this order. `sharedMax`: so many at most.
 */
export async function writeTree(
  path: string,
  layers: readonly StoredLayer[],
  { workdir, sharedMax = SHARED_LAYERS_MAX }: { workdir?: string; sharedMax?: number } = {},
): Promise<{ sha256: string; bytes: number; shared: StoredLayer[] }> {
  const tree = new Tree();
  for (const layer of layers) tree.apply(await readTar(layer.file));
  if (workdir !== undefined) tree.ensureFolder(Buffer.from(workdir).toString('latin1'));
  const places = placeLayers(
    layers.map(({ bytes }) => bytes),
    sharedMax,
  );
  const metadata = encodeErofs(tree.root, places);
  const copied = layers.filter((_, at) => !places[at]!.isDevice).map(({ file }) => file);
  const written = await writeDisk(path, metadata, copied);
  return { ...written, shared: layers.filter((_, at) => places[at]!.isDevice) };
}

/** Pure: which layers become disks of their own. */
export function placeLayers(bytes: readonly number[], sharedMax: number = SHARED_LAYERS_MAX): TarPlace[] {
  const largest = bytes
    .map((size, at) => ({ size, at }))
    .filter(({ size }) => size >= SHARED_LAYER_MIN_BYTES)
    .sort((a, b) => b.size - a.size)
    .slice(0, sharedMax);
  const devices = new Set(largest.map(({ at }) => at));
  return bytes.map((size, at) => ({ bytes: size, isDevice: devices.has(at) }));
}

async function writeDisk(
  path: string,
  metadata: Buffer,
  tars: readonly string[],
): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256').update(metadata);
  let bytes = metadata.length;
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(metadata);
    for (const tar of tars)
      for await (const chunk of createReadStream(tar) as AsyncIterable<Buffer>) {
        hash.update(chunk);
        bytes += chunk.length;
        await file.writeFile(chunk);
      }
    // Each machine's VMM may be a user of its own.
    await file.chmod(0o444);
    await file.sync();
  } finally {
    await file.close();
  }
  return { sha256: hash.digest('hex'), bytes };
}
