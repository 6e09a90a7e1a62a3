// The guest's kernel: Debian's cloud kernel, fetched as a package and never installed, and an initramfs with our
// agent as /init. The download is kept by Debian release, the initramfs made anew for each agent in milliseconds.

import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolderAtomic } from '../host/atomic-file.ts';
import { kernelFiles, storeFolders } from '../host/layout.ts';
import type { Progress } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import { CHARACTER_DEVICE, type CpioEntry, encodeCpio, FILE, FOLDER } from './cpio.ts';
import { mmdebstrap } from './debootstrap.ts';
import { collectModules, type Module, NEEDED_MODULES } from './modules.ts';

export interface Kernel {
  folder: string;
  vmlinuz: string;
  initramfs: string;
  /** As `uname -r` says it. */
  version: string;
  /** Identifies kernel and initramfs. */
  digest: string;
}

export interface KernelRequest {
  store: string;
  /** The agent's binary. */
  agent: string;
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

const SUITE = 'trixie';
const PACKAGE = 'linux-image-cloud-amd64';
const RECIPE = 2;

export async function ensureKernel(request: KernelRequest): Promise<Kernel> {
  const folders = storeFolders(request.store);
  const base = (await findBase(folders.kernels)) ?? (await fetchBase(folders.kernels, request));
  const agent = await readFile(request.agent);
  const digest = createHash('sha256')
    .update(`${RECIPE} ${base.version} ${BASE_PREFIX}\n`)
    .update(agent)
    .digest('hex')
    .slice(0, 24);
  const folder = join(folders.kernels, digest);
  const files = kernelFiles(folder);
  const kernel = {
    folder,
    vmlinuz: files.vmlinuz,
    initramfs: files.initramfs,
    version: base.version,
    digest,
  };
  const known = await readFile(files.record, 'utf8').catch(() => undefined);
  if (known) return kernel;
  await makeFolderAtomic(folder, async (temporary) => {
    const made = kernelFiles(temporary);
    await copyFile(join(base.folder, 'vmlinuz'), made.vmlinuz);
    await writeFile(made.initramfs, encodeCpio(initramfs(agent, await readModules(base.folder))));
    await writeFile(made.record, `${JSON.stringify({ version: base.version, recipe: RECIPE }, null, 2)}\n`);
    for (const file of [made.vmlinuz, made.initramfs, made.record]) await chmod(file, 0o444);
    await chmod(temporary, 0o755);
  }).catch((error: NodeJS.ErrnoException) => {
    // Another process made the same one meanwhile.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
  return kernel;
}

interface Base {
  folder: string;
  version: string;
}

/** A base with other modules is another one: what is kept holds no more than was needed then. */
const BASE_PREFIX = `debian-${createHash('sha256').update(NEEDED_MODULES.join(' ')).digest('hex').slice(0, 8)}-`;

async function findBase(kernels: string): Promise<Base | undefined> {
  const names = (await readdir(kernels).catch(() => []))
    .filter((name) => name.startsWith(BASE_PREFIX))
    .sort();
  const name = names.at(-1);
  return name === undefined
    ? undefined
    : { folder: join(kernels, name), version: name.slice(BASE_PREFIX.length) };
}

async function fetchBase(kernels: string, { signal, onProgress }: KernelRequest): Promise<Base> {
  onProgress?.({ step: "fetching Debian's kernel" });
  await mkdir(kernels, { recursive: true, mode: 0o700 });
  const unpacked = await mkdtemp(join(kernels, `.tmp-${process.pid}-kernel-`));
  try {
    const root = join(unpacked, 'root');
    await mmdebstrap(['--variant=extract', `--include=${PACKAGE}`, '--format=directory', SUITE, root], {
      ...(signal && { signal }),
    });
    const version = (await readdir(join(root, 'boot')))
      .find((name) => name.startsWith('vmlinuz-'))
      ?.slice('vmlinuz-'.length);
    if (!version)
      throw new WarrenError({
        code: 'image.build-failed',
        message: `the package ${PACKAGE} holds no kernel`,
      });
    const modules = await collectModules(join(root, 'usr/lib/modules', version));
    const folder = join(kernels, `${BASE_PREFIX}${version}`);
    await makeFolderAtomic(folder, async (temporary) => {
      await copyFile(join(root, 'boot', `vmlinuz-${version}`), join(temporary, 'vmlinuz'));
      await mkdir(join(temporary, 'modules'));
      for (const { name, content } of modules)
        await writeFile(join(temporary, 'modules', `${name}.ko`), content);
      await writeFile(
        join(temporary, 'modules', 'order'),
        modules.map(({ name }) => `${name}.ko\n`).join(''),
      );
    }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    return { folder, version };
  } finally {
    await rm(unpacked, { recursive: true, force: true });
  }
}

async function readModules(folder: string): Promise<Module[]> {
  const order = (await readFile(join(folder, 'modules/order'), 'utf8')).split('\n').filter(Boolean);
  return await Promise.all(
    order.map(async (name) => ({
      name: name.replace(/\.ko$/, ''),
      content: await readFile(join(folder, 'modules', name)),
    })),
  );
}

function initramfs(agent: Buffer, modules: Module[]): CpioEntry[] {
  return [
    ...['dev', 'proc', 'sys', 'run', 'layers', 'disk', 'newroot', 'modules'].map((path) => ({
      path,
      mode: FOLDER | 0o755,
    })),
    { path: 'dev/console', mode: CHARACTER_DEVICE | 0o600, device: [5, 1] as const },
    { path: 'init', mode: FILE | 0o755, content: agent },
    {
      path: 'modules/order',
      mode: FILE | 0o444,
      content: Buffer.from(modules.map(({ name }) => `${name}.ko\n`).join('')),
    },
    ...modules.map(({ name, content }) => ({ path: `modules/${name}.ko`, mode: FILE | 0o444, content })),
  ];
}
