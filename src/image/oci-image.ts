// An OCI image as one read-only disk: the metadata of all its layers in an EROFS file system of a few MiB, and behind
// it the layers' tars, which every image that has them shares. Nothing of the image runs on the host, and nothing is
// unpacked there.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Environment, formatReference } from '../environment/index.ts';
import { makeFolderAtomic, writeJsonAtomic } from '../host/atomic-file.ts';
import { imageFiles, referenceFile, storeFolders } from '../host/layout.ts';
import { ensurePrivateFolder } from '../host/private-folder.ts';
import { WarrenError } from '../protocol/error.ts';
import type { Contents } from './contents.ts';
import { digestOf } from './digest.ts';
import { encodeErofs, type TarPlace } from './erofs.ts';
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
/** So many layers, the largest, are disks that all images share; the others are copied, for a machine has few slots. */
const SHARED_LAYERS_MAX = 12;
/** A smaller one is not worth a disk. */
const SHARED_LAYER_MIN_BYTES = 256 * 1024;
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
  const places = placeLayers(layers.map(({ bytes }) => bytes));
  const metadata = encodeErofs(tree.root, places);
  const shared = tars.filter((_, at) => places[at]!.isDevice);
  await ensurePrivateFolder(folders.images);
  await makeFolderAtomic(folder, async (temporary) => {
    const files = imageFiles(temporary);
    const copied = layers.filter((_, at) => !places[at]!.isDevice).map(({ file }) => file);
    const written = await writeDisk(files.layer(0), metadata, copied);
    const record: ImageRecord = {
      id,
      from: digest === '' ? name : `${name} (${digest})`,
      settings,
      layers: [{ file: 'layer-0.erofs', ...written }],
      tars: shared,
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

/** Pure: which layers become disks of their own. */
export function placeLayers(bytes: readonly number[]): TarPlace[] {
  const largest = bytes
    .map((size, at) => ({ size, at }))
    .filter(({ size }) => size >= SHARED_LAYER_MIN_BYTES)
    .sort((a, b) => b.size - a.size)
    .slice(0, SHARED_LAYERS_MAX);
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
