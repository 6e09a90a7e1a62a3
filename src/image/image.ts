// Images: an environment turned into read-only EROFS layers, once per digest. Built by mmdebstrap inside its own
// namespace, so that the files' owners are right without root where the computer allows that.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Environment } from '../environment/index.ts';
import { makeFolderAtomic } from '../host/atomic-file.ts';
import { imageFiles, storeFolders } from '../host/layout.ts';
import type { Progress } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import { customizeHooks, LAYER_IN_ROOT } from './debian-root.ts';
import { mmdebstrap } from './debootstrap.ts';

export interface Image {
  /** Digest of its layers. */
  id: string;
  folder: string;
  /** Absolute paths, lowest first. */
  layers: string[];
  config: { user: string };
}

export interface ImageRequest {
  store: string;
  environment: Environment;
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

interface ImageRecord {
  id: string;
  environment: Environment;
  layers: { file: string; sha256: string; bytes: number }[];
  createdAt: string;
}

/** The image's folder is named by the environment that it was made from. */
export async function ensureImage(request: ImageRequest): Promise<Image> {
  const folder = join(storeFolders(request.store).images, request.environment.digest.slice(0, 24));
  const known = await readImage(folder);
  if (known) return known;
  await makeFolderAtomic(folder, (temporary) => build(temporary, request)).catch(
    (error: NodeJS.ErrnoException) => {
      // Another process made the same one meanwhile.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    },
  );
  const image = await readImage(folder);
  if (image) return image;
  throw new WarrenError({
    code: 'image.build-failed',
    message: `the image in ${folder} vanished after it was built`,
  });
}

async function readImage(folder: string): Promise<Image | undefined> {
  let record: ImageRecord;
  try {
    record = JSON.parse(await readFile(imageFiles(folder).record, 'utf8'));
  } catch {
    return undefined;
  }
  for (const { file, bytes } of record.layers) {
    const { size } = await stat(join(folder, file)).catch(() => ({ size: -1 }));
    if (size !== bytes) {
      throw new WarrenError({
        code: 'image.damaged',
        message: `the image layer ${join(folder, file)} has ${size} bytes and should have ${bytes}`,
        remedy: `rm -r ${folder}`,
      });
    }
  }
  return {
    id: record.id,
    folder,
    layers: record.layers.map(({ file }) => join(folder, file)),
    config: { user: record.environment.user },
  };
}

async function build(folder: string, { environment, signal, onProgress }: ImageRequest): Promise<void> {
  const files = imageFiles(folder);
  const layer = files.layer(0);
  // mmdebstrap copies the layer out of its namespace into a folder that its root, who is not us, may enter.
  const exchange = await mkdtemp(join(tmpdir(), 'warren-image-'));
  await chmod(exchange, 0o777);
  try {
    onProgress?.({ step: 'building the default environment' });
    await mmdebstrap(
      [
        '--variant=apt',
        `--include=${environment.packages.join(',')}`,
        '--dpkgopt=path-exclude=/usr/share/man/*',
        '--dpkgopt=path-exclude=/usr/share/doc/*',
        '--dpkgopt=path-include=/usr/share/doc/*/copyright',
        '--aptopt=Apt::Install-Recommends "false"',
        ...customizeHooks(environment.user, exchange).map((hook) => `--customize-hook=${hook}`),
        environment.suite,
        '/dev/null',
      ],
      {
        ...(signal && { signal }),
        onLine: (line) => {
          const step = /^I: (.{1,60})/.exec(line)?.[1];
          if (step) onProgress?.({ step: `environment: ${step.replace(/\.+$/, '')}` });
        },
      },
    );
    await mkdir(folder, { recursive: true });
    await move(join(exchange, LAYER_IN_ROOT), layer);
  } finally {
    await rm(exchange, { recursive: true, force: true });
  }
  const sha256 = await digestOf(layer);
  const { size } = await stat(layer);
  const record: ImageRecord = {
    id: sha256,
    environment,
    layers: [{ file: 'layer-0.erofs', sha256, bytes: size }],
    createdAt: new Date().toISOString(),
  };
  await chmod(layer, 0o444);
  await writeFile(files.record, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o444 });
  await chmod(folder, 0o755);
}

async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    const { copyFile } = await import('node:fs/promises');
    await copyFile(from, to);
  }
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
