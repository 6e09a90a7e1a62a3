// An OCI image in the store: its name looked up once, its layers fetched, its settings kept. Nothing of the image runs on
// the host, and nothing is unpacked there.

import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Environment, formatReference } from '../environment/index.ts';
import { writeJsonAtomic } from '../host/atomic-file.ts';
import { layerFile, referenceFile, storeFolders } from '../host/layout.ts';
import { ensurePrivateFolder } from '../host/private-folder.ts';
import { readJson } from '../host/read-json.ts';
import { WarrenError } from '../protocol/error.ts';
import type { Contents } from './contents.ts';
import type { Image, ImageRequest } from './image.ts';
import { ensureLayer, type StoredLayer } from './layer.ts';
import { badLayer } from './layer-error.ts';
import { ensureImageOf } from './layered-image.ts';
import { ARCHIVE_NAMES, openLocal, stampOf } from './local.ts';
import { type ImageSettings, ownArchitecture } from './manifest.ts';
import { readTar } from './read-tar.ts';
import { markUsed } from './references.ts';
import { openRemote } from './registry/pull.ts';

type OciRequest = ImageRequest & { environment: Extract<Environment, { kind: 'image' | 'files' }> };

/** Raised when what is kept of a name changes. */
const RECIPE = 2;
const LAYERS_AT_ONCE = 3;

/** What an image is made of, in the store. */
export interface OciParts {
  /** For people: its name, and the digest that it had. */
  from: string;
  settings: ImageSettings;
  /** The `config` of the image; null: it has none. */
  raw: unknown;
  /** Lowest first. */
  layers: StoredLayer[];
  /** The name's record. */
  reference: string;
}

/** `references/KEY.json`: what a name stood for. */
interface ReferenceRecord {
  name: string;
  /** The image that was made of it; '' while it only was built upon. */
  image: string;
  at: string;
  parts: Pick<OciParts, 'from' | 'settings' | 'raw'> & { layers: { diffId: string; bytes: number }[] };
}

/** A name that was looked up before is not looked up again, unless `fresh`: no network is needed for what is here. */
export async function ensureOciImage(request: OciRequest): Promise<Image> {
  return await nameImage(await ensureOciParts(request), request);
}

/** Makes the disk, and writes down that the name stands for it. */
export async function nameImage(
  parts: OciParts,
  request: Pick<OciRequest, 'store' | 'onProgress'>,
): Promise<Image> {
  const image = await ensureImageOf(parts, request);
  const record = await readReference(parts.reference);
  const folder = basename(image.folder);
  if (record && record.image !== folder)
    await writeJsonAtomic(parts.reference, { ...record, image: folder } satisfies ReferenceRecord);
  return image;
}

/** As `ensureOciImage`, without making a disk of it. */
export async function ensureOciParts(request: OciRequest): Promise<OciParts> {
  const { environment, signal } = request;
  if (environment.kind === 'files') {
    const stamp = await stampOf(environment.path);
    return await ensureParts(environment.path, stamp, () => openLocal(environment.path), request);
  }
  const { reference } = environment;
  const plainRegistries = request.plainRegistries ?? [];
  return await ensureParts(
    formatReference(reference),
    '',
    () => openRemote(reference, { plainRegistries, signal }),
    request,
  );
}

/** `name` and `stamp` tell what was looked up; `open` looks. */
export async function ensureParts(
  name: string,
  stamp: string,
  open: () => Promise<Contents>,
  request: Pick<OciRequest, 'store' | 'fresh' | 'signal' | 'onProgress'>,
): Promise<OciParts> {
  const folders = storeFolders(request.store);
  const key = createHash('sha256').update(`${RECIPE}\n${name}\n${stamp}`).digest('hex').slice(0, 24);
  const reference = referenceFile(folders.references, key);
  const known = request.fresh ? undefined : await readReference(reference);
  // What lost a layer is fetched again.
  const kept = known && (await storedLayers(folders.layers, known.parts.layers));
  if (kept) {
    await markUsed(reference);
    return { ...known.parts, layers: kept, reference };
  }

  request.onProgress?.({ step: `looking at ${name}` });
  const contents = await open();
  refuseForeign(contents, name);
  const layers = await fetchLayers(contents, folders.layers, request);
  if (contents.digest === '') await refuseArchive(layers);
  const { settings, raw } = contents.config;
  const from = contents.digest === '' ? name : `${name} (${contents.digest})`;
  await ensurePrivateFolder(folders.references);
  const record: ReferenceRecord = {
    name,
    image: '',
    at: new Date().toISOString(),
    parts: { from, settings, raw, layers: layers.map(({ diffId, bytes }) => ({ diffId, bytes })) },
  };
  await writeJsonAtomic(reference, record);
  return { from, settings, raw, layers, reference };
}

async function readReference(file: string): Promise<ReferenceRecord | undefined> {
  const record = (await readJson(file)) as Partial<ReferenceRecord> | undefined;
  return record?.parts ? (record as ReferenceRecord) : undefined;
}

/** undefined: one is missing, or is not whole. */
async function storedLayers(
  folder: string,
  layers: readonly { diffId: string; bytes: number }[],
): Promise<StoredLayer[] | undefined> {
  const stored = layers.map((layer) => ({ ...layer, file: layerFile(folder, layer.diffId) }));
  const sizes = await Promise.all(stored.map(({ file }) => stat(file).catch(() => undefined)));
  return sizes.every((found, at) => found?.size === stored[at]!.bytes) ? stored : undefined;
}

/** A compressed archive of an image looks like the tar of a file system until it is here. */
async function refuseArchive(layers: readonly StoredLayer[]): Promise<void> {
  for (const { file } of layers)
    if ((await readTar(file)).some(({ path }) => ARCHIVE_NAMES.includes(path)))
      throw badLayer('it is the archive of an image, compressed: decompress it first');
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
  { signal, onProgress = () => {} }: Pick<OciRequest, 'signal' | 'onProgress'>,
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
