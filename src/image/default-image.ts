// The built-in environment as one read-only EROFS layer, once per digest. Built by mmdebstrap inside its own
// namespace, so that the files' owners are right without root where the computer allows that.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { DefaultEnvironment } from '../environment/index.ts';
import { makeFolderAtomic } from '../host/atomic-file.ts';
import { imageFiles, storeFolders } from '../host/layout.ts';
import { makeWorkFolder } from '../host/work-folder.ts';
import { WarrenError } from '../protocol/error.ts';
import { customizeHooks, LAYER_IN_ROOT } from './debian-root.ts';
import { mmdebstrap } from './debootstrap.ts';
import { type Image, type ImageRecord, type ImageRequest, readImage } from './image.ts';

type DefaultRequest = ImageRequest & { environment: DefaultEnvironment };

/** The image's folder is named by the environment that it was made from. */
export async function ensureDefaultImage(request: DefaultRequest): Promise<Image> {
  const { images, layers } = storeFolders(request.store);
  const folder = join(images, request.environment.digest.slice(0, 24));
  const known = await readImage(folder, layers);
  if (known) return known;
  await makeFolderAtomic(folder, (temporary) => build(temporary, request)).catch(
    (error: NodeJS.ErrnoException) => {
      // Another process made the same one meanwhile.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    },
  );
  const image = await readImage(folder, layers);
  if (image) return image;
  throw new WarrenError({
    code: 'image.build-failed',
    message: `the image in ${folder} vanished after it was built`,
  });
}

async function build(folder: string, { environment, signal, onProgress }: DefaultRequest): Promise<void> {
  const files = imageFiles(folder);
  const layer = files.layer(0);
  // mmdebstrap copies the layer out of its namespace into a folder that its root, who is not us, may enter.
  const exchange = await makeWorkFolder('image');
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
    from: `Debian ${environment.suite}`,
    settings: { user: environment.user, workdir: `/home/${environment.user}`, env: {} },
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
