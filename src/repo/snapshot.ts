// Turns the user's index and tracked uncommitted changes into two trees without writing to the repository:
// the work happens on a copy of the index, and new objects go to a folder of our own that has the user's
// objects as its alternate.

import { copyFile, mkdir, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { WarrenError } from '../protocol/error.ts';
import { sanitize } from '../protocol/sanitize.ts';
import {
  formatIndexInfo,
  GITLINK,
  type IndexEntry,
  parseIndexEntries,
  parseTreeEntries,
  shown,
} from './entries.ts';
import { isEnvFile } from './env-file.ts';
import { type GitOptions, git, gitLine, isCommandFailure, stderrOf } from './git.ts';
import type { Repository } from './open.ts';

export interface Snapshot {
  /** A tree; null: same as head. */
  index: string | null;
  /** A tree; null: same as the index. */
  worktree: string | null;
  /** Paths of submodules, checked out or not. */
  gitlinks: string[];
  /** Paths with an open merge conflict: their content travels, the conflict does not. */
  conflicted: string[];
  /** Tracked files that look like secrets: what was committed travels, uncommitted changes do not. */
  envTracked: string[];
  /** Secrets that are staged but were never committed: they do not travel at all. */
  envStaged: string[];
  /** For git commands that need to see the new objects. */
  env: Record<string, string>;
}

/** A split index would put its other half into the user's repository; a monitor would be asked, and tell. */
const settings = {
  'core.splitIndex': 'false',
  'core.fsmonitor': 'false',
  'core.untrackedCache': 'false',
  'core.safecrlf': 'false',
};

const LIST_MAX_BYTES = 1024 * 1024 * 1024;
const ARGUMENT_PATHS = 500;

export async function takeSnapshot(
  repository: Repository,
  options: { folder: string; carry: ReadonlySet<string>; signal?: AbortSignal },
): Promise<Snapshot> {
  const { root, head } = repository;
  const base: GitOptions = options.signal ? { signal: options.signal } : {};
  const objects = join(repository.commonDir, 'objects');
  const newObjects = join(options.folder, 'objects');
  await mkdir(newObjects, { recursive: true });
  const index = join(options.folder, 'index');
  const env = {
    GIT_INDEX_FILE: index,
    GIT_OBJECT_DIRECTORY: newObjects,
    GIT_ALTERNATE_OBJECT_DIRECTORIES: quoted(objects),
    GIT_GRAFT_FILE: '/dev/null',
    ...asEnvironment(settings),
  };
  const on: GitOptions = { ...base, env, maxOutputBytes: LIST_MAX_BYTES };
  await copyIndex(
    await gitLine(root, ['rev-parse', '--path-format=absolute', '--git-path', 'index'], base),
    index,
  );

  const entries = parseIndexEntries((await git(root, ['ls-files', '--stage', '-z'], on)).stdout);
  const unmerged = entries.filter((entry) => entry.stage > 0);
  const secrets = onePerPath(entries).filter((entry) => {
    const path = shown(entry.path);
    return entry.mode !== GITLINK && isEnvFile(path) && !options.carry.has(path);
  });
  const secretPaths = new Set(secrets.map((entry) => entry.path));
  const committed = head ? await committedEntries(root, head, secrets, on) : new Map<string, IndexEntry>();
  await updateIndex(root, [...ours(unmerged), ...asCommitted(secrets, committed)], on);
  const indexTree = await writeTree(root, on);

  // Content of both sides of a conflict is in the file, so it must be seen as tracked whatever the stages say.
  await updateIndex(root, keepTracked(unmerged.filter((entry) => !secretPaths.has(entry.path))), on);
  const kept = secrets.filter((entry) => committed.has(entry.path)).map((entry) => entry.path);
  await skipWorktree(root, kept, on);
  await addChanges(repository, on);
  const worktreeTree = await writeTree(root, on);
  const headTree = head ? await gitLine(root, ['rev-parse', '--verify', `${head}^{tree}`], base) : null;
  const empty = headTree === null && entries.length === 0;
  return {
    index: empty || indexTree === headTree ? null : indexTree,
    worktree: worktreeTree === indexTree ? null : worktreeTree,
    gitlinks: unique(entries.filter((entry) => entry.mode === GITLINK).map((entry) => shown(entry.path))),
    conflicted: unique(unmerged.map((entry) => shown(entry.path))),
    envTracked: kept.map(shown),
    envStaged: secrets.filter((entry) => !committed.has(entry.path)).map((entry) => shown(entry.path)),
    env,
  };
}

/**
 * Git takes a file whose time is not older than its index's for possibly changed; the copy must not be
 * younger than the original, and Node cannot set nanoseconds, so it is set to the whole second before.
 */
async function copyIndex(from: string, to: string): Promise<void> {
  const found = await stat(from).catch(() => null);
  if (!found) return;
  await copyFile(from, to);
  const second = Math.floor(found.mtimeMs / 1000);
  await utimes(to, second, second);
}

async function committedEntries(
  root: string,
  head: string,
  entries: readonly IndexEntry[],
  on: GitOptions,
): Promise<Map<string, IndexEntry>> {
  const found = new Map<string, IndexEntry>();
  const paths = entries.map((entry) => shown(entry.path));
  for (let from = 0; from < paths.length; from += ARGUMENT_PATHS) {
    const some = paths.slice(from, from + ARGUMENT_PATHS);
    const { stdout } = await git(root, ['ls-tree', '-z', '--full-tree', head, '--', ...some], on);
    for (const entry of parseTreeEntries(stdout)) found.set(entry.path, entry);
  }
  return found;
}

/** What `git status` would call staged while a conflict is open: our side. */
function ours(unmerged: readonly IndexEntry[]): IndexEntry[] {
  const paths = unique(unmerged.map((entry) => entry.path));
  const stage2 = new Map(unmerged.filter((entry) => entry.stage === 2).map((entry) => [entry.path, entry]));
  return paths.flatMap((path) => {
    const entry = stage2.get(path);
    return entry
      ? [removal(entry), { ...entry, stage: 0 }]
      : [removal(unmerged.find((e) => e.path === path)!)];
  });
}

function asCommitted(secrets: readonly IndexEntry[], committed: Map<string, IndexEntry>): IndexEntry[] {
  return secrets.map((entry) => committed.get(entry.path) ?? removal(entry));
}

function keepTracked(unmerged: readonly IndexEntry[]): IndexEntry[] {
  return unique(unmerged.map((entry) => entry.path)).map((path) => {
    const all = unmerged.filter((entry) => entry.path === path);
    const best = all.find((entry) => entry.stage === 2) ?? all.at(-1)!;
    return { ...best, stage: 0 };
  });
}

function removal(entry: IndexEntry): IndexEntry {
  return { mode: '0', id: '0'.repeat(entry.id.length), stage: 0, path: entry.path };
}

async function updateIndex(root: string, entries: readonly IndexEntry[], on: GitOptions): Promise<void> {
  if (entries.length === 0) return;
  await git(root, ['update-index', '-z', '--index-info'], { ...on, input: formatIndexInfo(entries) });
}

async function skipWorktree(root: string, paths: readonly string[], on: GitOptions): Promise<void> {
  if (paths.length === 0) return;
  const input = Buffer.from(paths.map((path) => `${path}\0`).join(''), 'latin1');
  const args = ['update-index', '--skip-worktree', '-z', '--stdin'];
  await git(root, args, { ...on, input });
}

async function writeTree(root: string, on: GitOptions): Promise<string> {
  return gitLine(root, ['write-tree', '--missing-ok'], on);
}

async function addChanges(repository: Repository, on: GitOptions): Promise<void> {
  try {
    await git(repository.root, ['add', '--update'], on);
  } catch (error) {
    if (!isCommandFailure(error)) throw error;
    throw new WarrenError(
      {
        code: 'repo.changes-unreadable',
        message: `cannot read the uncommitted changes of "${sanitize(repository.root)}": ${sanitize(stderrOf(error))}`,
        remedy: 'make `git add --update --dry-run` work in the repository, or commit your changes first',
      },
      { cause: error },
    );
  }
}

function asEnvironment(values: Record<string, string>): Record<string, string> {
  const rows = Object.entries(values).flatMap(([key, value], n) => [
    [`GIT_CONFIG_KEY_${n}`, key],
    [`GIT_CONFIG_VALUE_${n}`, value],
  ]);
  return { GIT_CONFIG_COUNT: String(rows.length / 2), ...Object.fromEntries(rows) };
}

/** As GIT_ALTERNATE_OBJECT_DIRECTORIES wants a path that may hold a colon. */
function quoted(path: string): string {
  return `"${path.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n').replace(/\t/g, '\\t')}"`;
}

function onePerPath(entries: readonly IndexEntry[]): IndexEntry[] {
  return [...new Map(entries.map((entry) => [entry.path, entry])).values()];
}

function unique(paths: readonly string[]): string[] {
  return [...new Set(paths)];
}
