// Packs a repository so that a guest can have it: HEAD's history and the tracked uncommitted changes, for the
// repository and each checked-out submodule. The user's repository is only read; all that is made is made in
// the transfer folder. What stays behind is reported.

import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { WarrenError } from '../protocol/error.ts';
import { sanitizeLine } from '../protocol/sanitize.ts';
import { carryPath, findCarried } from './carry.ts';
import { cloneTar } from './clone-tar.ts';
import { gitLineOrNull } from './git.ts';
import { type MadePack, makePack } from './make-pack.ts';
import type { CloneManifest, RepositoryManifest } from './manifest.ts';
import type { Repository } from './open.ts';
import { readShallow } from './shallow.ts';
import { takeSnapshot } from './snapshot.ts';
import { findSubmodules, type Submodule } from './submodules.ts';
import { readIdentity } from './tracked.ts';
import { type LeftBehind, listOthers, report, type Withheld } from './withheld.ts';

export interface PackInOptions {
  /** The branch that the guest stands on; null: it stands on the commit itself. */
  branch: string | null;
  /** What the guest has already, by path ("" is the repository itself). */
  known?: ReadonlyMap<string, KnownRepository>;
  /** Where the clone goes, absolute in the guest. */
  guestPath: string;
  /** Files to take along that git does not track, relative to the root. */
  carry?: readonly string[];
  /** A folder for what is made; a fresh one is made in it, and `dispose` removes that. */
  transferFolder: string;
  signal?: AbortSignal;
  onProgress?: (progress: PackProgress) => void;
}

/** A repository as it went into a guest. */
export interface KnownRepository {
  head: string | null;
  shallow: readonly string[];
}

export interface PackProgress {
  step: string;
}

export interface PackedRepository {
  manifest: Omit<CloneManifest, 'user'>;
  /** A fresh stream of the whole tar, as often as asked. `user`: who owns the clone in the guest. */
  stream(user: string): Readable;
  /** Of the tar's content, for progress. */
  bytes: number;
  withheld: Withheld;
  dispose(): Promise<void>;
}

const SUBMODULES_MAX = 1000;
const SUBMODULE_DEPTH_MAX = 16;
const UNBORN_BRANCH = 'warren/unborn';

interface Part {
  path: string;
  row: RepositoryManifest;
  left: LeftBehind;
  pack: MadePack | null;
}

export async function packIn(repository: Repository, options: PackInOptions): Promise<PackedRepository> {
  const carried = await findCarried(repository.root, options.carry ?? []);
  await mkdir(options.transferFolder, { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(join(options.transferFolder, 'pack-in-'));
  const dispose = () => rm(folder, { recursive: true, force: true });
  try {
    const carry = new Set((options.carry ?? []).map(carryPath));
    const [parts, identity] = await Promise.all([
      packTree(repository, { ...options, folder, carry }),
      readIdentity(repository.root),
    ]);
    const packs = parts.flatMap((part) => (part.pack ? [part.pack] : []));
    const manifest: Omit<CloneManifest, 'user'> = {
      path: options.guestPath,
      objectFormat: repository.objectFormat,
      identity,
      repositories: numbered(parts),
    };
    const files = packs.flatMap(({ pack, idx }, n) => [
      { name: `pack-${n}.pack`, path: pack },
      { name: `pack-${n}.idx`, path: idx },
    ]);
    const sizes = await Promise.all(files.map(async ({ path }) => (await stat(path)).size));
    const content = files.map((file, n) => ({ ...file, bytes: sizes[n]! }));
    return {
      manifest,
      stream: (user) => cloneTar({ ...manifest, user }, content, repository.root, carried),
      bytes: [...sizes, ...carried.map((file) => file.bytes)].reduce((sum, bytes) => sum + bytes, 0),
      withheld: report(parts),
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

type TreeOptions = Omit<PackInOptions, 'carry'> & { folder: string; carry: ReadonlySet<string> };

/** The repository, then its submodules, each before those inside it. */
async function packTree(repository: Repository, options: TreeOptions): Promise<Part[]> {
  const parts: Part[] = [];
  const walk = async (submodule: Submodule | null, current: Repository, path: string, depth: number) => {
    if (parts.length > SUBMODULES_MAX || depth > SUBMODULE_DEPTH_MAX) throw tooManySubmodules(path);
    const folder = join(options.folder, String(parts.length));
    const { part, inner } = await packOne(
      current,
      submodule,
      { ...options, folder, carry: inside(options.carry, path) },
      path,
    );
    parts.push(part);
    for (const next of inner) {
      await walk(next, next.repository, path ? `${path}/${next.path}` : next.path, depth + 1);
    }
  };
  await walk(null, repository, '', 0);
  return parts;
}

async function packOne(
  repository: Repository,
  submodule: Submodule | null,
  options: TreeOptions,
  path: string,
): Promise<{ part: Part; inner: Submodule[] }> {
  const { folder, carry, signal, onProgress } = options;
  // A branch without commits is all that there is of a repository without commits.
  const branch = options.branch ?? (repository.head === null ? UNBORN_BRANCH : null);
  const common = { carry, ...(signal && { signal }) };
  await mkdir(folder, { recursive: true });
  const where = path ? ` of submodule ${sanitizeLine(path)}` : '';
  onProgress?.({ step: `reading uncommitted changes${where}` });
  const [snapshot, others] = await Promise.all([
    takeSnapshot(repository, { ...common, folder }),
    listOthers(repository.root, common),
  ]);
  const { checkedOut, missing } = await findSubmodules(repository, snapshot.gitlinks);
  onProgress?.({ step: `packing the history${where}` });
  const shallow = await readShallow(repository);
  const known = await stillKnown(repository, options.known?.get(path), shallow);
  const pack = await makePack(repository, snapshot, { folder, known, ...(signal && { signal }) });
  const row: RepositoryManifest = {
    path,
    name: submodule?.name ?? '',
    objectFormat: repository.objectFormat,
    branch: submodule ? null : branch,
    head: repository.head,
    index: snapshot.index,
    worktree: snapshot.worktree,
    shallow,
    url: submodule?.url ?? null,
    pack: null,
  };
  const left: LeftBehind = {
    ...others,
    env: [...others.env, ...snapshot.envStaged],
    envTracked: snapshot.envTracked,
    conflicted: snapshot.conflicted,
    submodulesNotCheckedOut: missing,
  };
  return { part: { path, row, left, pack }, inner: checkedOut };
}

/** A commit that is no longer here, or whose history was cut elsewhere, says nothing of what the guest has. */
async function stillKnown(
  repository: Repository,
  known: KnownRepository | undefined,
  shallow: readonly string[],
): Promise<string | null> {
  if (!known?.head || known.shallow.join() !== shallow.join()) return null;
  return await gitLineOrNull(repository.root, ['rev-parse', '--verify', '--quiet', `${known.head}^{commit}`]);
}

function numbered(parts: readonly Part[]): RepositoryManifest[] {
  let packs = 0;
  return parts.map(({ row, pack }) => ({ ...row, pack: pack ? packs++ : null }));
}

function inside(carry: ReadonlySet<string>, path: string): ReadonlySet<string> {
  if (path === '') return carry;
  const prefix = `${path}/`;
  return new Set(
    [...carry].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length)),
  );
}

function tooManySubmodules(path: string): WarrenError {
  return new WarrenError({
    code: 'repo.too-many-submodules',
    message: `cannot pack submodule "${path}": more than ${SUBMODULES_MAX} submodules, or ${SUBMODULE_DEPTH_MAX} deep`,
    remedy: 'take the submodules that are not needed out of the working tree: git submodule deinit PATH',
  });
}
