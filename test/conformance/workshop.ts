// One builder machine for all cases: each sees stages and trees of its own, and the same base as its disk. What a case's
// images are is the base too; everything else is what a build does.

import { cpSync, createReadStream, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import tar from 'tar-stream';
import { imageBase, readConfig } from '../../src/environment/dockerfile/index.ts';
import { buildFiles, type Layout, storeFolders } from '../../src/host/layout.ts';
import { baseKey } from '../../src/image/build/keys.ts';
import { type BaseImage, Sources } from '../../src/image/build/sources.ts';
import type { Builder, Tree, Workshop } from '../../src/image/build/workshop.ts';
import { ensureLayer, type StoredLayer } from '../../src/image/layer.ts';
import { writeTree } from '../../src/image/layered-image.ts';
import { qemuDriver } from '../../src/machine/drivers/qemu/driver.ts';
import { newBuildId, openBuilder } from '../../src/sandbox/build/builder-machine.ts';
import { Rooms } from '../../src/sandbox/rooms.ts';
import { staticBusybox } from '../image/debian-program.ts';
import { testStore } from '../vm/test-store.ts';
import { BASE_ENV, baseTar } from './base.ts';

export interface SharedWorkshop {
  store: string;
  base: StoredLayer;
  /** While its machine came up. */
  said: readonly string[];
  /** Of one case. */
  openFor(prefix: string): Workshop;
  close(): Promise<void>;
}

/** A case may start stages on so many images at once. */
const BASES = 4;

export async function openSharedWorkshop(): Promise<SharedWorkshop> {
  const box = staticBusybox();
  if ('missing' in box) throw new Error(box.missing);
  const home = mkdtempSync(join(tmpdir(), 'warren-conformance-'));
  const layout: Layout = {
    data: join(home, 'data'),
    runtime: join(home, 'run'),
    config: join(home, 'config'),
  };
  const store = layout.data;
  takeKernel(store);
  mkdirSync(layout.runtime, { recursive: true, mode: 0o700 });
  const file = join(home, 'base.tar');
  writeFileSync(file, await baseTar(box.program));
  const base = await storeTar(store, file);
  const disk = join(home, 'base.erofs');
  const { shared } = await writeTree(disk, [base]);
  const layers = Array.from({ length: BASES }, () => [disk, ...shared.map(({ file }) => file)]);
  const rooms = new Rooms({
    layout,
    driver: qemuDriver(),
    agent: resolve('dist/warren-agent'),
    door: resolve('dist/door-process.js'),
  });
  const id = newBuildId();
  mkdirSync(buildFiles(layout, id).folder, { recursive: true, mode: 0o700 });
  const abort = new AbortController();
  const said: string[] = [];
  const machine = await openBuilder(rooms, id, {
    ...{ context: home, repository: null, profiles: [], layers, caches: true },
    // The first one is given up as if it said nothing.
    awakenMs: [1, 120_000],
    onProgress: (step) => void said.push(step),
    signal: abort.signal,
  }).catch((error: unknown) => {
    rmSync(home, { recursive: true, force: true });
    throw error;
  });
  return {
    store,
    base,
    said,
    openFor: (prefix) => ({
      builder: prefixed(machine.builder, prefix),
      certificatePem: machine.certificatePem,
      denied: async () => [],
      broken: async () => undefined,
      end: async () => {},
    }),
    close: async () => {
      await machine.end();
      rmSync(home, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

async function storeTar(store: string, file: string): Promise<StoredLayer> {
  const open = async () => createReadStream(file);
  return await ensureLayer({ diffId: null, blob: null, open }, { folder: storeFolders(store).layers });
}

/** It need not be fetched again. */
function takeKernel(store: string): void {
  const from = testStore();
  mkdirSync(store, { recursive: true, mode: 0o700 });
  for (const kept of ['kernels', 'accelerator.json'])
    if (existsSync(join(from, kept)))
      cpSync(join(from, kept), join(store, kept), { recursive: true, preserveTimestamps: true });
}

/** Every image that a case names is the base. */
export class BaseSources extends Sources {
  readonly base: StoredLayer;

  constructor(options: ConstructorParameters<typeof Sources>[0], base: StoredLayer) {
    super(options);
    this.base = base;
  }

  override async image(): Promise<BaseImage> {
    return {
      layers: [this.base],
      config: imageBase(readConfig({ Env: BASE_ENV })).config,
      key: baseKey([this.base]),
    };
  }
}

/** What a copy means names its stage too. */
function renamed(entries: Readable, name: (stage: string) => string): Readable {
  const from = tar.extract();
  const to = tar.pack();
  from.on('entry', (header, content, next) => {
    buffer(content).then((bytes) => {
      const meant = header.name === 'copy.json' ? JSON.parse(bytes.toString('utf8')) : null;
      const text = meant ? Buffer.from(JSON.stringify({ ...meant, stage: name(meant.stage) })) : bytes;
      // With the bits of its type: tar-stream takes a mode of 0 for none.
      const mode = (header.mode ?? 0) | 0o100_000;
      to.entry({ ...header, mode, size: text.length }, text, next);
    }, next);
  });
  pipeline(entries, from).then(
    () => to.finalize(),
    (error: Error) => to.destroy(error),
  );
  return Readable.from(to as AsyncIterable<Buffer>, { objectMode: false });
}

function prefixed(builder: Builder, prefix: string): Builder {
  const name = (text: string) => `${prefix}.${text}`;
  const tree = (of: Tree): Tree =>
    'stage' in of ? { stage: name(of.stage) } : 'tree' in of ? { tree: name(of.tree) } : of;
  return {
    beginStage: (stage, on) => builder.beginStage(name(stage), on && (tree(on) as typeof on)),
    openStep: (stage, step) =>
      builder.openStep(name(stage), {
        ...step,
        ...(step.mounts && {
          mounts: step.mounts.map((mount) => ({
            ...mount,
            ...(mount.stage !== undefined && { stage: name(mount.stage) }),
            ...(mount.tree !== undefined && { tree: name(mount.tree) }),
            ...(mount.id !== undefined && { id: `${prefix}.${mount.id.slice(0, 32)}` }),
          })),
        }),
      }),
    run: (stage, command) => builder.run(name(stage), command),
    acceptSocket: (stage, signal) => builder.acceptSocket(name(stage), signal),
    makeFolder: (stage, path, user) => builder.makeFolder(name(stage), path, user),
    copy: (entries) => builder.copy(renamed(entries, name)),
    copyFrom: (stage, from, copy) => builder.copyFrom(name(stage), tree(from), copy),
    putTree: (of, entries) => builder.putTree(name(of), entries),
    closeStep: (stage, keep) => builder.closeStep(name(stage), keep),
    layer: (stage) => builder.layer(name(stage)),
    proxy: () => builder.proxy(),
  };
}
