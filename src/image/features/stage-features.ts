// Features → a Dockerfile on top of an image, once for the same features, the same image and the same files.

import { createHash } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DockerfileEnvironment } from '../../environment/index.ts';
import { makeFolderAtomic, temporaryBeside } from '../../host/atomic-file.ts';
import { storeFolders } from '../../host/layout.ts';
import { readJson } from '../../host/read-json.ts';
import type { Progress } from '../../protocol/api.ts';
import { WarrenError } from '../../protocol/error.ts';
import { STORED_IMAGE } from '../build/sources.ts';
import type { Image } from '../image.ts';
import { copyOwn } from './copy-own.ts';
import { FEATURE_LIMITS, type FeatureLimits } from './limits.ts';
import { runCli } from './run-cli.ts';

export interface FeaturesRequest {
  store: string;
  base: Image;
  /** What the features' own tool is told: image, features, their order, users. */
  config: Record<string, unknown> & { features: Record<string, unknown> };
  /** The devcontainer.json, absolute. */
  file: string;
  /** Of its repository, absolute. */
  root: string;
  /** Versions are looked up again. */
  fresh: boolean;
  limits?: FeatureLimits;
  signal: AbortSignal;
  onProgress: (progress: Progress) => void;
}

/** Raised when the way of staging, or the tool, changes. */
const RECIPE = 1;
/** What the image to start from is called in the Dockerfile. */
const BASE = 'warren_base';
/** They are for engines, or for Dockerfiles without named contexts. */
const UNUSED_ARGS = ['BUILDKIT_INLINE_CACHE', '_DEV_CONTAINERS_FEATURE_CONTENT_SOURCE'];

/** Throws `environment.features`. */
export async function stageFeatures(request: FeaturesRequest): Promise<DockerfileEnvironment> {
  const { store, base, config, onProgress, signal, fresh, limits = FEATURE_LIMITS } = request;
  // Not where temporary files lie: programs may be forbidden there, and the tool calls one.
  const scratch = temporaryBeside(join(storeFolders(store).features, 'scratch'));
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  try {
    const workspace = join(scratch, 'workspace');
    const copied = await copyOwn(request, workspace);
    await writeFile(copied.file, JSON.stringify({ ...config, image: BASE }));
    const key = createHash('sha256')
      .update(JSON.stringify([RECIPE, base.id, base.config, config, copied.digests]))
      .digest('hex')
      .slice(0, 32);
    const staged = join(storeFolders(store).features, key);
    const isStaged = async () => (await readJson(join(staged, 'environment.json'))) !== undefined;
    if (fresh || !(await isStaged())) {
      onProgress({ step: `resolving features: ${Object.keys(config.features).join(', ')}` });
      const folder = join(scratch, 'out');
      await mkdir(folder, { mode: 0o700 });
      const words = await runCli({ workspace, file: copied.file, base: base.config, folder, limits, signal });
      if (fresh || !(await isStaged())) await rm(staged, { recursive: true, force: true });
      await makeFolderAtomic(staged, async (temporary) => {
        await rename(join(folder, 'content'), join(temporary, 'content'));
        await mkdir(join(temporary, 'empty'));
        await writeFile(join(temporary, 'environment.json'), JSON.stringify(read(words)), { flush: true });
      }).catch(async (error: unknown) => {
        // Another one that resolved the same was first.
        if (!(await isStaged())) throw error;
      });
    }
    const { dockerfile, target, args } = (await readJson(join(staged, 'environment.json'))) as Staged;
    return {
      kind: 'dockerfile',
      file: join(staged, 'content', dockerfile),
      context: join(staged, 'empty'),
      target,
      args: { ...args, _DEV_CONTAINERS_BASE_IMAGE: BASE },
      contexts: {
        [BASE]: `${STORED_IMAGE}${base.folder}`,
        dev_containers_feature_content_source: join(staged, 'content'),
      },
    };
  } finally {
    // What a tool that was ended had begun may still be writing.
    await rm(scratch, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  }
}

interface Staged {
  dockerfile: string;
  target: string | null;
  args: Record<string, string>;
}

/** Pure: what an engine was called with. */
function read(words: readonly string[]): Staged {
  const after = (flag: string) => words.flatMap((word, at) => (word === flag ? [words[at + 1] ?? ''] : []));
  const args = after('--build-arg').map((pair): [string, string] => {
    const equals = pair.indexOf('=');
    return [pair.slice(0, equals), pair.slice(equals + 1)];
  });
  const dockerfile = after('-f').at(-1)?.split('/').at(-1);
  if (dockerfile === undefined)
    throw new WarrenError({
      code: 'environment.features',
      message: 'cannot install the features of devcontainer.json: their tool named no Dockerfile',
      remedy: 'leave the features out, and install what they bring in a Dockerfile',
    });
  return {
    dockerfile,
    target: after('--target').at(-1) ?? null,
    args: Object.fromEntries(args.filter(([name]) => !UNUSED_ARGS.includes(name))),
  };
}
