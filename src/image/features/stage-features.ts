// Features → a Dockerfile on top of an image, once for the same features, the same image and the same files. Features of
// the repository are copied first, without following links: what the reference implementation reads, the guest gets.

import { createHash } from 'node:crypto';
import {
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import type { DockerfileEnvironment } from '../../environment/index.ts';
import { makeFolderAtomic } from '../../host/atomic-file.ts';
import { storeFolders } from '../../host/layout.ts';
import type { Progress } from '../../protocol/api.ts';
import { WarrenError } from '../../protocol/error.ts';
import { STORED_IMAGE } from '../build/sources.ts';
import type { Image } from '../image.ts';
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
  signal: AbortSignal;
  onProgress: (progress: Progress) => void;
}

/** Raised when the way of staging, or the tool, changes. */
const RECIPE = 1;
const FILES_MAX = 10_000;
const BYTES_MAX = 256 * 1024 ** 2;
/** What the image to start from is called in the Dockerfile. */
const BASE = 'warren_base';
const LOCKFILES = ['devcontainer-lock.json', '.devcontainer-lock.json'];

/** Throws `environment.features`. */
export async function stageFeatures(request: FeaturesRequest): Promise<DockerfileEnvironment> {
  const { store, base, config, onProgress, signal, fresh } = request;
  const scratch = await mkdtemp(join(tmpdir(), 'warren-features-'));
  try {
    const copied = await copyOwn(request, join(scratch, 'workspace'));
    const key = createHash('sha256')
      .update(JSON.stringify([RECIPE, base.id, base.config, config, copied.digests]))
      .digest('hex')
      .slice(0, 32);
    const staged = join(storeFolders(store).features, key);
    if (fresh || !(await isThere(join(staged, 'environment.json')))) {
      onProgress({ step: `resolving features: ${Object.keys(config.features).join(', ')}` });
      const folder = join(scratch, 'out');
      await mkdir(folder, { mode: 0o700 });
      const words = await runCli({ ...copied, base: base.config, folder, signal });
      await rm(staged, { recursive: true, force: true });
      await makeFolderAtomic(staged, async (temporary) => {
        await rename(join(folder, 'content'), join(temporary, 'content')).catch(async () => {
          await copyTree(join(folder, 'content'), join(temporary, 'content'), new Budget());
        });
        await mkdir(join(temporary, 'empty'));
        await writeFile(join(temporary, 'environment.json'), JSON.stringify(read(words)), { flush: true });
      });
    }
    const { dockerfile, target, args } = JSON.parse(
      await readFile(join(staged, 'environment.json'), 'utf8'),
    ) as Staged;
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
    await rm(scratch, { recursive: true, force: true });
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
    args: Object.fromEntries(args.filter(([name]) => name !== 'BUILDKIT_INLINE_CACHE')),
  };
}

/** The devcontainer.json that the tool reads, where it was, and the repository's own features beside it. */
async function copyOwn(
  { config, file, root, signal }: FeaturesRequest,
  workspace: string,
): Promise<{ workspace: string; file: string; digests: string[] }> {
  const at = join(workspace, file.slice(root.length));
  await mkdir(dirname(at), { recursive: true });
  const budget = new Budget();
  for (const name of Object.keys(config.features)) {
    if (!/^\.{0,2}\//.test(name)) continue;
    const path = normalize(name);
    if (path.startsWith('/') || path.split('/')[0] === '..')
      throw refused(`${JSON.stringify(name)} is not below the folder of devcontainer.json`);
    signal.throwIfAborted();
    await copyTree(join(dirname(file), path), join(dirname(at), path), budget);
  }
  for (const name of LOCKFILES) {
    const lock = join(dirname(file), name);
    if (await isThere(lock)) await copyTree(lock, join(dirname(at), name), budget);
  }
  await writeFile(at, JSON.stringify({ ...config, image: BASE }));
  return { workspace, file: at, digests: budget.digests };
}

class Budget {
  readonly digests: string[] = [];
  #files = 0;
  #bytes = 0;

  take(bytes: number): void {
    this.#files++;
    this.#bytes += bytes;
    if (this.#files > FILES_MAX || this.#bytes > BYTES_MAX)
      throw refused(`they have more than ${FILES_MAX} files or ${BYTES_MAX} bytes`);
  }
}

/** Files and folders; a link, or anything else, is refused. */
async function copyTree(from: string, to: string, budget: Budget): Promise<void> {
  const found = await lstat(from).catch(() => undefined);
  if (!found) throw refused(`${from} is not there`);
  budget.take(found.isFile() ? found.size : 0);
  if (found.isFile()) {
    await mkdir(dirname(to), { recursive: true });
    await copyFile(from, to);
    const digest = createHash('sha256')
      .update(await readFile(to))
      .digest('hex');
    budget.digests.push(`${to.split('/workspace/').at(-1)} ${found.mode & 0o777} ${digest}`);
  } else if (found.isDirectory()) {
    await mkdir(to, { recursive: true });
    for (const name of (await readdir(from)).sort()) await copyTree(join(from, name), join(to, name), budget);
  } else throw refused(`${from} is neither a file nor a folder`);
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

function refused(why: string): WarrenError {
  return new WarrenError({
    code: 'environment.features',
    message: `cannot use the features of devcontainer.json: ${why}`,
    remedy:
      'a feature of the repository is a folder of plain files below that of devcontainer.json: "./my-feature"',
  });
}
