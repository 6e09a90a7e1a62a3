// Looks through a hand-back in quarantine before any of it goes on: is the history whole, how large does it get
// once unpacked and checked out, and what in it deserves a look. Sizes are those of inflated objects: a gigabyte
// of zeros is a megabyte of pack, and one blob may stand in a tree a million times.

import { PassThrough } from 'node:stream';
import { type Change, isDeleted, isGitlink } from './changes.ts';
import { git, gitSealed, isCommandFailure } from './git.ts';
import { fromGit, rejected, tooLarge } from './handback-error.ts';
import { objectSizes, sizeSink } from './object-sizes.ts';
import type { Repository } from './open.ts';
import type { Risk } from './risks.ts';
import { type Survey, survey } from './survey.ts';
import { diffTrees } from './tree-diff.ts';
import { TreeReader } from './tree-reader.ts';

export interface HandbackLimits {
  packBytes: number;
  inflatedBytes: number;
  blobBytes: number;
  objects: number;
  commits: number;
  pathBytes: number;
  timeoutMs: number;
}

export interface Inspection extends Survey {
  /** Commits that `tip` has and `base` has not. */
  commits: number;
  /** Whether `tip` descends from `base`. */
  descends: boolean;
  /** The history that the sandbox started from was rewritten: a merge needs the user's word. */
  rewritten: boolean;
  /** Files changed against `base`. */
  files: number;
  risks: Risk[];
}

export interface InspectOptions {
  tip: string;
  base: string | null;
  bounds: HandbackLimits;
  signal: AbortSignal;
}

/** Rows are held in memory, unlike objects. */
const CHANGED_ROWS = 1_000_000;
const CHANGED_PATHS_BYTES = 256 * 1024 * 1024;

export async function inspect(
  repository: Repository,
  gitDir: string,
  options: InspectOptions,
): Promise<Inspection> {
  const { tip, base, bounds, signal } = options;
  try {
    const [known] = await Promise.all([knownTips(repository, options), requireCommit(gitDir, tip, signal)]);
    await walkNew(gitDir, known, options);
    const [commits, descends, changes] = await Promise.all([
      countCommits(gitDir, options),
      base === null ? true : isAncestor(gitDir, base, tip, signal),
      readChanges(repository, gitDir, options),
    ]);
    await limitCheckout(gitDir, changes, options);
    const found = await survey(repository, gitDir, tip, changes, signal);
    return { commits, descends, rewritten: !descends, files: changes.length, ...found };
  } catch (error) {
    if (signal.aborted || !isCommandFailure(error)) throw error;
    throw fromGit(error, bounds.packBytes);
  }
}

async function requireCommit(gitDir: string, tip: string, signal: AbortSignal): Promise<void> {
  const { stdout } = await gitSealed(gitDir, ['cat-file', '--batch-check=%(objecttype)'], {
    input: `${tip}\n`,
    signal,
  });
  const type = stdout.toString().trim();
  if (type !== 'commit')
    throw rejected(`${tip} is ${type.endsWith('missing') ? 'not in the pack' : `a ${type}, not a commit`}`);
}

/** Commits whose objects are all here: where the user's refs are, and where the sandbox started. */
async function knownTips(repository: Repository, { base, signal }: InspectOptions): Promise<Set<string>> {
  const { stdout } = await git(repository.root, ['for-each-ref', '--format=%(objectname)'], { signal });
  const known = new Set(stdout.toString().split('\n').filter(Boolean));
  if (repository.head) known.add(repository.head);
  if (base) known.add(base);
  return known;
}

/** Visits each object once that the user's refs do not reach; fails where one is missing. */
async function walkNew(gitDir: string, known: ReadonlySet<string>, options: InspectOptions): Promise<void> {
  const { tip, bounds, signal } = options;
  const list = ['rev-list', '--objects', '--ignore-missing', '--stdin'];
  const sizes = ['cat-file', '--buffer', '--batch-check=%(objecttype) %(objectsize) %(rest)'];
  const input = `${tip}\n${[...known].map((id) => `^${id}\n`).join('')}`;
  const link = new PassThrough();
  const [listed, counted] = await Promise.allSettled([
    gitSealed(gitDir, list, { input, output: link, signal }),
    gitSealed(gitDir, sizes, { input: link, output: sizeSink(bounds), signal }),
  ]);
  // When counting ends early, listing ends with a broken pipe: what it was that was counted says more.
  const { reason } = [listed, counted].find(isLimit) ?? [listed, counted].find(isRejected) ?? {};
  if (reason) throw reason;
}

const isRejected = (result: PromiseSettledResult<unknown>) => result.status === 'rejected';
const isLimit = (result: PromiseSettledResult<unknown>): result is PromiseRejectedResult =>
  result.status === 'rejected' && !isCommandFailure(result.reason);

async function readChanges(
  repository: Repository,
  gitDir: string,
  { tip, base, bounds, signal }: InspectOptions,
): Promise<Change[]> {
  const reader = new TreeReader(gitDir, repository.objectFormat, signal);
  try {
    return await diffTrees((id) => reader.read(id), base && `${base}^{tree}`, `${tip}^{tree}`, {
      rows: Math.min(bounds.objects, CHANGED_ROWS),
      pathBytes: bounds.pathBytes,
      totalPathBytes: CHANGED_PATHS_BYTES,
    });
  } finally {
    await reader.close();
  }
}

/** What a checkout of `tip` would write beyond what `base` has: each path counts, also for the same blob. */
async function limitCheckout(
  gitDir: string,
  changes: readonly Change[],
  options: InspectOptions,
): Promise<void> {
  const { bounds, signal } = options;
  const files = changes.filter((change) => !isDeleted(change) && !isGitlink(change));
  const sizes = await objectSizes(gitDir, new Set(files.map((change) => change.newId)), signal);
  const bytes = files.reduce((sum, change) => sum + (sizes.get(change.newId) ?? 0), 0);
  if (bytes > bounds.inflatedBytes) throw tooLarge('a checkout of it', bytes, bounds.inflatedBytes, 'bytes');
}

async function countCommits(gitDir: string, { tip, base, signal }: InspectOptions): Promise<number> {
  const range = base ? [tip, `^${base}`] : [tip];
  const { stdout } = await gitSealed(gitDir, ['rev-list', '--count', ...range, '--'], { signal });
  return Number(stdout.toString().trim());
}

async function isAncestor(gitDir: string, base: string, tip: string, signal: AbortSignal): Promise<boolean> {
  const args = ['merge-base', '--is-ancestor', base, tip];
  return (await gitSealed(gitDir, args, { okCodes: [0, 1], signal })).code === 0;
}
