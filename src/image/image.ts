// Images: an environment turned into read-only disk layers, once per content. Which folder holds which image, and
// whether it is whole; how one is made is in default-image.ts and oci-image.ts.

import { readFile, stat } from 'node:fs/promises';
import { basename, isAbsolute, join } from 'node:path';
import type { Environment } from '../environment/index.ts';
import { imageFiles, layerFile } from '../host/layout.ts';
import { readJson } from '../host/read-json.ts';
import type { Progress } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import type { StoredLayer } from './layer.ts';
import type { ImageSettings } from './manifest.ts';

/** A file system in one file, or in several: the first, then the further disks that it points into. */
export type Layer = string | string[];

export interface Image {
  /** Identifies its layers and settings. */
  id: string;
  folder: string;
  /** Lowest first. */
  layers: Layer[];
  config: ImageSettings;
}

export interface ImageRequest {
  store: string;
  environment: Exclude<Environment, { kind: 'dockerfile' }>;
  /** Look a tag up again that was looked up before. */
  fresh?: boolean;
  /** Registries that are asked over plain HTTP besides those on this computer. */
  plainRegistries?: readonly string[];
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/** `image.json`. */
export interface ImageRecord {
  id: string;
  /** For people: what it was made of. */
  from: string;
  settings: ImageSettings;
  layers: { file: string; sha256: string; bytes: number }[];
  /** Of a pulled image: tars of layers, in the store, that its one layer points into. */
  tars?: { diffId: string; bytes: number }[];
  /** Of a pulled or built image: all its layers, lowest first; what is built upon it needs them. */
  diffIds?: string[];
  createdAt: string;
}

/** undefined: there is none, or not all of it. Throws `image.damaged`. */
export async function readImage(folder: string, layers: string): Promise<Image | undefined> {
  let record: ImageRecord;
  try {
    record = JSON.parse(await readFile(imageFiles(folder).record, 'utf8'));
  } catch {
    return undefined;
  }
  const own = record.layers.map(({ file, bytes }) => ({ file: join(folder, file), bytes }));
  const tars = record.tars?.map(({ diffId, bytes }) => ({ file: layerFile(layers, diffId), bytes }));
  for (const { file, bytes } of [...own, ...(tars ?? [])]) {
    const { size } = await stat(file).catch(() => ({ size: -1 }));
    if (size === bytes) continue;
    throw new WarrenError({
      code: 'image.damaged',
      message: `the image layer ${file} has ${size < 0 ? 'gone' : `${size} bytes`} and should have ${bytes} bytes`,
      remedy: `rm -r ${folder}${isAbsolute(file) && tars?.some((tar) => tar.file === file) ? ` ${file}` : ''}`,
    });
  }
  // Records of before 0.2 have the environment in the place of settings.
  const settings = record.settings ?? { user: 'user', workdir: '/home/user', env: {} };
  return {
    id: record.id,
    folder,
    layers: tars ? [[...own, ...tars].map(({ file }) => file)] : own.map(({ file }) => file),
    config: settings,
  };
}

/** The layers and settings of an image, for what is built upon it. Throws `image.damaged`. */
export async function storedParts(
  folder: string,
  layers: string,
): Promise<{ layers: StoredLayer[]; settings: ImageSettings }> {
  const { diffIds, settings } = JSON.parse(await readFile(imageFiles(folder).record, 'utf8')) as ImageRecord;
  if (!diffIds)
    throw new WarrenError({
      code: 'image.damaged',
      message: `the image in ${folder} has no layers that could be built upon`,
      remedy: `rm -r ${folder}`,
    });
  const parts = diffIds.map(async (diffId) => {
    const file = layerFile(layers, diffId);
    return { diffId, file, bytes: (await stat(file)).size };
  });
  return { layers: await Promise.all(parts), settings };
}

/** Which files of the store the images in these folders need: for whoever removes the others. */
export async function filesOfImages(folders: Iterable<string>): Promise<Set<string>> {
  const needed = new Set<string>();
  for (const folder of folders) {
    needed.add(basename(folder));
    const record = (await readJson(imageFiles(folder).record)) as Partial<ImageRecord> | undefined;
    const { tars = [], diffIds = [] } = record ?? {};
    for (const diffId of [...tars.map((tar) => tar.diffId), ...diffIds])
      needed.add(basename(layerFile('', diffId)));
  }
  return needed;
}
