// Layers in the store: uncompressed tars, each named by its digest, one copy for all images. A layer appears by one
// rename after its digests were right; whatever goes wrong before leaves nothing.

import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';
import { temporaryBeside } from '../host/atomic-file.ts';
import { ensureRoom } from '../host/disk-space.ts';
import { layerFile } from '../host/layout.ts';
import { WarrenError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';
import type { LayerSource } from './contents.ts';
import { decompress } from './decompress.ts';
import { badLayer } from './layer-error.ts';
import { BLOCK_BYTES } from './tar-header.ts';

export interface StoredLayer {
  diffId: string;
  file: string;
  bytes: number;
}

export interface LayerOptions {
  /** The store's folder of layers. */
  folder: string;
  signal?: AbortSignal;
  /** Compressed bytes as they come. */
  onBytes?: (bytes: number) => void;
}

const TRIES = 5;
const RETRY_MS = 500;
const ROOM_MIB = 256;
const making = new Map<string, Promise<StoredLayer>>();

/** However many ask for one layer at the same time, it is fetched once. */
export async function ensureLayer(source: LayerSource, options: LayerOptions): Promise<StoredLayer> {
  const { diffId } = source;
  if (diffId === null) return await fetchLayer(source, options);
  const file = layerFile(options.folder, diffId);
  for (;;) {
    const found = await stat(file).catch(() => undefined);
    if (found) return { diffId, file, bytes: found.size };
    const others = making.get(file);
    if (!others) break;
    // Who fetched it may have been cancelled: that is not our end.
    const got = await others.catch((error: unknown) => {
      if (!options.signal?.aborted && WarrenError.from(error).code === 'usage.cancelled') return undefined;
      throw error;
    });
    if (got) return got;
  }
  const mine = fetchLayer(source, options);
  making.set(file, mine);
  try {
    return await mine;
  } finally {
    making.delete(file);
  }
}

async function fetchLayer(source: LayerSource, options: LayerOptions): Promise<StoredLayer> {
  const { folder, signal } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = temporaryBeside(layerFile(folder, source.diffId ?? `sha256:${'0'.repeat(64)}`));
  const file = await open(temporary, 'wx', 0o600);
  try {
    const written = { hash: createHash('sha256'), bytes: 0 };
    await pipeline(
      Readable.from(blobOf(source, options), { objectMode: false }),
      decompress(),
      async (chunks: AsyncIterable<Buffer>) => await writeAll(file, chunks, written, folder),
      ...(signal ? [{ signal }] : []),
    );
    const diffId = `sha256:${written.hash.digest('hex')}`;
    if (source.diffId !== null && diffId !== source.diffId) throw mismatch(source.diffId, diffId);
    // Blocks of a disk are whole: a tar that ends without its padding gets it here.
    const bytes = Math.ceil(written.bytes / BLOCK_BYTES) * BLOCK_BYTES;
    await file.truncate(bytes);
    await file.chmod(0o444);
    await file.sync();
    const target = layerFile(folder, diffId);
    await rename(temporary, target);
    await syncFolder(dirname(target));
    return { diffId, file: target, bytes };
  } catch (cause) {
    await rm(temporary, { force: true });
    if (signal?.aborted) throw new WarrenError({ code: 'usage.cancelled', message: 'cancelled' }, { cause });
    throw readable(cause);
  } finally {
    await file.close();
  }
}

async function writeAll(
  file: FileHandle,
  chunks: AsyncIterable<Buffer>,
  written: { hash: ReturnType<typeof createHash>; bytes: number },
  folder: string,
): Promise<void> {
  let checkedAt = 0;
  for await (const chunk of chunks) {
    if (written.bytes >= checkedAt) {
      await ensureRoom(folder, ROOM_MIB, 'a layer of an image');
      checkedAt = written.bytes + (ROOM_MIB / 2) * 1024 ** 2;
    }
    written.hash.update(chunk);
    written.bytes += chunk.length;
    if (written.bytes > limits.imageLayerBytes)
      throw badLayer(`it has more than ${limits.imageLayerBytes} bytes`);
    await file.writeFile(chunk);
  }
}

/** The bytes as they come, taken up again where a connection broke; checked at the end. */
async function* blobOf(source: LayerSource, { signal, onBytes }: LayerOptions): AsyncGenerator<Buffer> {
  const hash = source.blob && createHash('sha256');
  let bytes = 0;
  for (let failures = 0; ; ) {
    const before = bytes;
    try {
      for await (const chunk of (await source.open(bytes, signal)) as AsyncIterable<Buffer>) {
        hash?.update(chunk);
        bytes += chunk.length;
        if (source.blob && bytes > source.blob.size)
          throw mismatch(source.blob.digest, 'more bytes than announced');
        onBytes?.(chunk.length);
        yield chunk;
      }
      if (source.blob && bytes < source.blob.size)
        throw new Error(`the connection ended after ${bytes} of ${source.blob.size} bytes`);
      break;
    } catch (error) {
      failures = bytes > before ? 1 : failures + 1;
      if (error instanceof WarrenError || signal?.aborted || failures >= TRIES || !source.blob) throw error;
      await setTimeout(RETRY_MS * failures, undefined, signal ? { signal } : {});
    }
  }
  const digest = hash && `sha256:${hash.digest('hex')}`;
  if (source.blob && digest && digest !== source.blob.digest) throw mismatch(source.blob.digest, digest);
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}

function mismatch(wanted: string, got: string): WarrenError {
  return new WarrenError({
    code: 'image.digest-mismatch',
    message: `cannot use a layer of the image: it should be ${wanted} and is ${got}`,
    remedy: 'try again; if it happens again, the registry or the archive is damaged',
  });
}

function readable(cause: unknown): WarrenError {
  if (cause instanceof WarrenError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ENOSPC')
    return new WarrenError(
      {
        code: 'host.disk-full',
        message: 'cannot store a layer of the image: the disk is full',
        remedy: 'warren prune',
      },
      { cause },
    );
  if (code?.startsWith('Z_') || code?.startsWith('ZSTD_') || /zstd|zlib/i.test(code ?? ''))
    return badLayer(`it cannot be decompressed: ${message}`);
  return new WarrenError(
    {
      code: 'image.fetch-failed',
      message: `cannot fetch a layer of the image: ${message}`,
      remedy: 'check the network, then try again',
    },
    { cause },
  );
}
