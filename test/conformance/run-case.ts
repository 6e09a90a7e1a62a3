// One case: built as Warren builds, and compared with what Docker made of it.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import {
  ignoreFileNames,
  parseDockerfile,
  parseIgnore,
  planStages,
  writeConfig,
} from '../../src/environment/dockerfile/index.ts';
import { layerFile, storeFolders } from '../../src/host/layout.ts';
import { buildImage, FileDigests } from '../../src/image/build/index.ts';
import type { ImageRecord } from '../../src/image/image.ts';
import { WarrenError } from '../../src/protocol/error.ts';
import { type Case, type Expected, writeContext } from './cases.ts';
import { differences, listTars } from './listing.ts';
import { BaseSources, type SharedWorkshop } from './workshop.ts';

let nr = 0;

/** Lines that say how it differs; empty: it does not. */
export async function runCase(one: Case, shared: SharedWorkshop): Promise<string[]> {
  const got = await build(one, shared);
  const { expected } = one;
  if ('failsAt' in expected && 'failsAt' in got)
    return expected.failsAt === null || got.failsAt === null || expected.failsAt === got.failsAt
      ? []
      : [`it should fail at line ${expected.failsAt}: line ${got.failsAt}, ${got.why}`];
  if ('failsAt' in expected) return [`it should fail at line ${expected.failsAt}`];
  if ('failsAt' in got) return [`it failed: ${got.why}`];
  const config = JSON.stringify(got.config);
  const wanted = JSON.stringify(sorted(expected.config));
  return [
    ...expected.tree.filter((line) => !got.tree.includes(line)).map((line) => `- ${line}`),
    ...got.tree.filter((line) => !expected.tree.includes(line)).map((line) => `+ ${line}`),
    ...expected.gone.filter((line) => !got.gone.includes(line)).map((line) => `is still there: ${line}`),
    ...got.gone.filter((line) => !expected.gone.includes(line)).map((line) => `is gone: ${line}`),
    ...(config === wanted ? [] : [`- ${wanted}`, `+ ${config}`]),
  ];
}

type Got = Exclude<Expected, { failsAt: unknown }> | { failsAt: number | null; why: string };

async function build(one: Case, { store, base, openFor }: SharedWorkshop): Promise<Got> {
  const prefix = `c${nr++}`;
  const folder = mkdtempSync(join(tmpdir(), 'warren-case-'));
  const context = join(folder, 'context');
  writeContext(context, one.files);
  const folders = storeFolders(store);
  const signal = new AbortController().signal;
  try {
    const file = join(context, one.dockerfile);
    const plan = planStages(parseDockerfile(readFileSync(file), basename(file)), {
      target: null,
      buildArgs: new Map(Object.entries(one.args)),
      contexts: new Set(),
      platform: 'linux/amd64',
    });
    const digests = await FileDigests.open(join(folder, 'digests.json'));
    const sources = new BaseSources(
      {
        ...{ store, context, digests, signal, fresh: false },
        rules: ignoreRules(context, one.dockerfile),
        isWithheld: () => false,
        contexts: new Map(),
        plainRegistries: [],
        onProgress: () => {},
      },
      base,
    );
    const { image, config } = await buildImage({
      ...{ store, plan, sources, signal },
      secrets: new Map(),
      ssh: new Map(),
      useKnown: false,
      scratchFolder: join(folder, 'bases'),
      openWorkshop: async () => openFor(prefix),
      onProgress: () => {},
    });
    const record = JSON.parse(readFileSync(join(image.folder, 'image.json'), 'utf8')) as ImageRecord;
    const lines = await listTars(record.diffIds!.map((diffId) => layerFile(folders.layers, diffId)));
    const isScratch = !lines.some((line) => line.endsWith(' /bin/busybox'));
    const changes = isScratch ? { tree: lines, gone: [] } : differences(lines, await listTars([base.file]));
    return { ...changes, config: sorted(writeConfig(config)) };
  } catch (error) {
    const { code, message, details } = WarrenError.from(error);
    if (code === 'daemon.internal') throw error;
    const line = (details as { line?: number } | undefined)?.line ?? Number(/:(\d+)/.exec(message)?.[1]);
    return { failsAt: Number.isInteger(line) ? line : null, why: message };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function ignoreRules(context: string, dockerfile: string) {
  const { beside, inContext } = ignoreFileNames(basename(dockerfile));
  for (const path of [join(context, dockerfile, '..', beside), join(context, inContext)]) {
    try {
      return parseIgnore(readFileSync(path), basename(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return parseIgnore('');
}

function sorted(config: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1)));
}
