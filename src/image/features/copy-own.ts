// The features that a repository has itself, copied without following links: what the reference implementation reads, the
// guest gets.

import { createHash } from 'node:crypto';
import { copyFile, lstat, mkdir, readdir, readFile, realpath } from 'node:fs/promises';
import { dirname, join, normalize, relative } from 'node:path';
import { parse } from 'jsonc-parser';
import { WarrenError } from '../../protocol/error.ts';

const FILES_MAX = 10_000;
const BYTES_MAX = 256 * 1024 ** 2;
const LEVELS_MAX = 200;
const LOCKFILES = ['devcontainer-lock.json', '.devcontainer-lock.json'];

export interface OwnFeatures {
  /** Which are asked for; those of registries are left to others. */
  config: { features: Record<string, unknown> };
  /** The devcontainer.json, absolute. */
  file: string;
  /** Of its repository, absolute. */
  root: string;
  signal: AbortSignal;
}

/** Answers where devcontainer.json is to be in `workspace`, and the digests of what was copied. Throws `environment.features`. */
export async function copyOwn(
  { config, file, root, signal }: OwnFeatures,
  workspace: string,
): Promise<{ file: string; digests: string[] }> {
  const place = relative(root, file);
  const isOutside = place.startsWith('../');
  const at = join(workspace, isOutside ? '.devcontainer/devcontainer.json' : place);
  const folder = await realpath(dirname(file));
  // Whoever names a file elsewhere by hand means what is there.
  if (!isOutside && folder !== join(await realpath(root), dirname(place)))
    throw refused(`a link makes ${dirname(file)} ${folder}`);
  await mkdir(dirname(at), { recursive: true });
  const budget = new Budget();
  const copied = new Set<string>();
  const wanted = Object.keys(config.features);
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    if (/^http:/i.test(name)) throw plainHttp(name);
    if (!/^\.{0,2}\//.test(name)) continue;
    const path = normalize(name).replace(/\/$/, '');
    if (path.startsWith('/') || path.split('/')[0] === '..')
      throw refused(`${JSON.stringify(name)} is not below the folder of devcontainer.json`);
    if (copied.has(path)) continue;
    copied.add(path);
    signal.throwIfAborted();
    const from = join(folder, path);
    const real = await realpath(from).catch(() => from);
    if (real !== from) throw refused(`a link makes ${from} ${real}`);
    await copyTree(from, join(dirname(at), path), budget);
    wanted.push(...(await neededBy(join(dirname(at), path))));
  }
  for (const name of LOCKFILES) {
    const lock = join(folder, name);
    if (await lstat(lock).catch(() => undefined)) await copyTree(lock, join(dirname(at), name), budget);
  }
  return { file: at, digests: budget.digests.sort() };
}

/** Features that a feature depends on may be of the repository too. Whether it makes sense is for others to say. */
async function neededBy(folder: string): Promise<string[]> {
  const text = await readFile(join(folder, 'devcontainer-feature.json'), 'utf8').catch(() => '');
  if (text.length > 1024 ** 2) throw refused(`devcontainer-feature.json of ${folder} is larger than 1 MiB`);
  try {
    const { dependsOn } = (parse(text) ?? {}) as { dependsOn?: unknown };
    return typeof dependsOn === 'object' && dependsOn !== null ? Object.keys(dependsOn) : [];
  } catch {
    // So deep that reading it ends there: it names nothing.
    return [];
  }
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
async function copyTree(from: string, to: string, budget: Budget, level = 0): Promise<void> {
  const found = await lstat(from).catch(() => undefined);
  if (!found) throw refused(`${from} is not there`);
  if (level > LEVELS_MAX) throw refused(`${from} is too deep`);
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
    for (const name of (await readdir(from)).sort())
      await copyTree(join(from, name), join(to, name), budget, level + 1);
  } else throw refused(`${from} is neither a file nor a folder`);
}

function plainHttp(name: string): WarrenError {
  return new WarrenError({
    code: 'environment.features',
    message: `cannot use the features of devcontainer.json: ${JSON.stringify(name.slice(0, 300))} would be fetched over plain HTTP`,
    remedy: 'name it as "https://…"',
  });
}

function refused(why: string): WarrenError {
  return new WarrenError({
    code: 'environment.features',
    message: `cannot use the features of devcontainer.json: ${why}`,
    remedy:
      'a feature of the repository is a folder of plain files below that of devcontainer.json: "./my-feature"',
  });
}
