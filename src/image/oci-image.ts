// An OCI image as one read-only disk: the metadata of all its layers in an EROFS file system of a few MiB, and behind
// it the layers' tars, which every image that has them shares. Nothing of the image runs on the host, and nothing is
// unpacked there.

import { createHash } from 'node:crypto';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Environment, formatReference } from '../environment/index.ts';
import { makeFolderAtomic, writeJsonAtomic } from '../host/atomic-file.ts';
import { imageFiles, layerFile, referenceFile, storeFolders } from '../host/layout.ts';
import { ensurePrivateFolder } from '../host/private-folder.ts';
import { WarrenError } from '../protocol/error.ts';
import type { Contents } from './contents.ts';
import { digestOf } from './digest.ts';
import { encodeErofs } from './erofs.ts';
import { type Image, type ImageRecord, type ImageRequest, readImage } from './image.ts';
import { ensureLayer, type StoredLayer } from './layer.ts';
import { badLayer } from './layer-error.ts';
import { ARCHIVE_NAMES, openLocal, stampOf } from './local.ts';
import { ownArchitecture } from './manifest.ts';
import { readTar } from './read-tar.ts';
import { openRemote } from './registry/pull.ts';
import { Tree } from './tree.ts';

type OciRequest = ImageRequest & { environment: Exclude<Environment, { kind: 'default' }> };

/** Raised when the same layers give another disk. */
const RECIPE = 1;
const LAYERS_AT_ONCE = 3;

/** `references/KEY.json`: what a name stood for. */
interface ReferenceRecord {
  name: string;
  image: string;
  at: string;
}

/** A name that was looked up before is not looked up again, unless `fresh`: no network is needed for what is here. */
export async function ensureOciImage(request: OciRequest): Promise<Image> {
  const folders = storeFolders(request.store);
  const { environment, signal, onProgress = () => {} } = request;
  const name = environment.kind === 'files' ? environment.path : formatReference(environment.reference);
  const stamp = environment.kind === 'files' ? await stampOf(environment.path) : '';
  const key = createHash('sha256').update(`${RECIPE}\n${name}\n${stamp}`).digest('hex').slice(0, 24);
  const reference = referenceFile(folders.references, key);
  const known = request.fresh ? undefined : await readReference(reference);
  // What lost a layer is fetched again.
  const image =
    known && (await readImage(join(folders.images, known.image), folders.layers).catch(() => undefined));
  if (image) return image;

  onProgress({ step: `looking at ${name}` });
  const contents =
    environment.kind === 'files'
      ? await openLocal(environment.path)
      : await openRemote(environment.reference, { plainRegistries: request.plainRegistries ?? [], signal });
  refuseForeign(contents, name);
  const layers = await fetchLayers(contents, folders.layers, request);
  const made = await ensureFolder(contents, layers, name, request);
  await ensurePrivateFolder(folders.references);
  const record: ReferenceRecord = { name, image: made.id.slice(0, 24), at: new Date().toISOString() };
  await writeJsonAtomic(reference, record);
  return made;
}

async function readReference(file: string): Promise<ReferenceRecord | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
}

function refuseForeign({ config: { os, architecture } }: Contents, name: string): void {
  if (os === 'linux' && ['', ownArchitecture()].includes(architecture)) return;
  throw new WarrenError({
    code: 'image.no-platform',
    message: `cannot use ${name}: it is made for ${JSON.stringify(`${os}/${architecture}`.slice(0, 60))}, and this computer needs linux/${ownArchitecture()}`,
    remedy: 'use an image for this computer',
  });
}

async function fetchLayers(
  { layers }: Contents,
  folder: string,
  { signal, onProgress = () => {} }: OciRequest,
): Promise<StoredLayer[]> {
  const total = layers.reduce((sum, { blob }) => sum + (blob?.size ?? 0), 0);
  let done = 0;
  const failed = new AbortController();
  const either = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
  const stored: StoredLayer[] = [];
  const waiting = layers.map((source, at) => ({ source, at }));
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      stored[next.at] = await ensureLayer(next.source, {
        folder,
        signal: either,
        onBytes: (bytes) => {
          done += bytes;
          onProgress({ step: 'fetching the image', done, ...(total > 0 && { total }) });
        },
      });
    }
  };
  try {
    await Promise.all(Array.from({ length: LAYERS_AT_ONCE }, work));
  } catch (error) {
    failed.abort();
    throw error;
  }
  return stored;
}

/** The folder of the image with these layers and settings. */
async function ensureFolder(
  { digest, config }: Contents,
  layers: StoredLayer[],
  name: string,
  { store, onProgress = () => {} }: OciRequest,
): Promise<Image> {
  const folders = storeFolders(store);
  const tars = layers.map(({ diffId, bytes }) => ({ diffId, bytes }));
  const { settings } = config;
  const id = digestOf(JSON.stringify([RECIPE, settings, tars])).replace('sha256:', '');
  const folder = join(folders.images, id.slice(0, 24));
  const known = await readImage(folder, folders.layers);
  if (known) return known;
  onProgress({ step: 'merging the layers' });
  const tree = new Tree();
  for (const layer of layers) {
    const entries = await readTar(layer.file);
    if (digest === '' && entries.some(({ path }) => ARCHIVE_NAMES.includes(path)))
      throw badLayer('it is the archive of an image, compressed: decompress it first');
    tree.apply(entries);
  }
  tree.ensureFolder(Buffer.from(settings.workdir).toString('latin1'));
  const metadata = encodeErofs(
    tree.root,
    layers.map(({ bytes }) => bytes),
  );
  await ensurePrivateFolder(folders.images);
  await makeFolderAtomic(folder, async (temporary) => {
    const files = imageFiles(temporary);
    const record: ImageRecord = {
      id,
      from: digest === '' ? name : `${name} (${digest})`,
      settings,
      layers: [
        { file: 'layer-0.erofs', sha256: digestOf(metadata).replace('sha256:', ''), bytes: metadata.length },
      ],
      tars,
      createdAt: new Date().toISOString(),
    };
    await writeFile(files.layer(0), metadata, { mode: 0o444, flush: true });
    await writeFile(files.record, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o444, flush: true });
    await chmod(temporary, 0o755);
  }).catch((error: NodeJS.ErrnoException) => {
    // Another process made the same one meanwhile.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
  const tarFiles = layers.map(({ diffId, bytes }) => ({ file: layerFile(folders.layers, diffId), bytes }));
  return {
    id,
    folder,
    layers: [[{ file: imageFiles(folder).layer(0), bytes: metadata.length }, ...tarFiles]],
    config: settings,
  };
}
