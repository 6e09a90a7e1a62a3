// Merges a received tip into the branch that the user stands on: the only place of this room that changes a
// branch, the index or the working tree. It is git's own merge with the user's configuration, but no hook, no
// signature, no editor and no submodule takes part. Conflicts stay as git leaves them.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { WarrenError } from '../protocol/error.ts';
import { shown, splitNul } from './entries.ts';
import { git, gitLine, gitLineOrNull, hardened, isCommandFailure } from './git.ts';
import { explainMerge, historyRewritten, stagedChanges, unborn } from './merge-error.ts';
import { openRepository, type Repository } from './open.ts';
import { operationInProgress } from './operation.ts';
import { squashMessage } from './squash-message.ts';

export interface MergeOptions {
  tip: string;
  sandbox: string;
  /** `auto`: fast-forward where possible, else a merge commit. `squash`: one commit of all changes. */
  mode: 'auto' | 'squash';
  message?: string;
  /** Where the sandbox started; with it, a tip that does not descend from it is refused. */
  base?: string | null;
  /** The user has seen that the history was rewritten, and wants it. */
  acceptRewritten?: boolean;
  signal?: AbortSignal;
}

export interface MergeResult {
  kind: 'up-to-date' | 'fast-forward' | 'merged' | 'squashed' | 'conflicts';
  /** Where the branch is now; absent with conflicts. */
  commit?: string;
  conflicts?: string[];
}

const settings = [...hardened, '-c', 'commit.gpgSign=false', '-c', 'merge.verifySignatures=false'];
const quiet = [
  '--quiet',
  '--no-stat',
  '--no-edit',
  '--no-gpg-sign',
  '--no-verify',
  '--no-verify-signatures',
  '--no-autostash',
];

export async function merge(opened: Repository, options: MergeOptions): Promise<MergeResult> {
  // HEAD may have moved since the repository was opened.
  const repository = await openRepository(opened.root);
  await operationInProgress(repository);
  const { tip, base, signal } = options;
  const on = signal ? { signal } : {};
  const isAncestor = async (a: string, b: string) =>
    (await git(repository.root, ['merge-base', '--is-ancestor', a, b], { okCodes: [0, 1], ...on })).code ===
    0;

  if (base && options.acceptRewritten !== true && !(await isAncestor(base, tip)))
    throw historyRewritten(options.sandbox);
  const { head } = repository;
  if (head && (await isAncestor(tip, head))) return { kind: 'up-to-date', commit: head };
  const forward = head === null || (await isAncestor(head, tip));
  if (options.mode === 'auto' && forward) return fastForward(repository, tip, options, 'fast-forward');
  if (options.mode === 'squash') {
    if (head && (await sameTree(repository.root, head, tip))) return { kind: 'up-to-date', commit: head };
    return forward ? squashForward(repository, options) : squashDiverged(repository, options);
  }
  return mergeDiverged(repository, options);
}

async function fastForward(
  repository: Repository,
  tip: string,
  options: MergeOptions,
  kind: 'fast-forward' | 'squashed',
): Promise<MergeResult> {
  const conflicts = await runMerge(repository, ['--ff-only', tip], options);
  if (conflicts)
    throw new WarrenError({ code: 'repo.merge-failed', message: 'cannot fast-forward: git found conflicts' });
  return { kind, commit: await headOf(repository) };
}

async function mergeDiverged(repository: Repository, options: MergeOptions): Promise<MergeResult> {
  const message = options.message ?? `Merge sandbox ${options.sandbox}`;
  const args = ['--ff', '--commit', '--no-squash', '-m', message, options.tip];
  const conflicts = await runMerge(repository, args, options);
  return conflicts ? { kind: 'conflicts', conflicts } : { kind: 'merged', commit: await headOf(repository) };
}

/** The tip's own tree as one commit on top of HEAD; then a fast-forward, so staged changes stay staged. */
async function squashForward(repository: Repository, options: MergeOptions): Promise<MergeResult> {
  const { root, head } = repository;
  const tipTree = await treeOf(root, options.tip);
  const parents = head ? ['-p', head] : [];
  try {
    const args = [...settings, 'commit-tree', '--no-gpg-sign', ...parents, '-F', '-', tipTree];
    const commit = await gitLine(root, args, { input: await squashMessage(repository, options) });
    return await fastForward(repository, commit, options, 'squashed');
  } catch (error) {
    throw explainMerge(error, repository);
  }
}

async function squashDiverged(repository: Repository, options: MergeOptions): Promise<MergeResult> {
  const { root } = repository;
  const staged = await git(root, [...settings, 'diff-index', '--cached', '--quiet', 'HEAD'], {
    okCodes: [0, 1],
  });
  if (staged.code === 1) throw stagedChanges();
  const message = await squashMessage(repository, options);
  const conflicts = await runMerge(repository, ['--squash', options.tip], options);
  if (conflicts) return { kind: 'conflicts', conflicts };
  const nothing = await git(root, [...settings, 'diff-index', '--cached', '--quiet', 'HEAD'], {
    okCodes: [0, 1],
  });
  if (nothing.code === 0) {
    await rm(join(repository.gitDir, 'SQUASH_MSG'), { force: true });
    return { kind: 'up-to-date', commit: await headOf(repository) };
  }
  try {
    const args = ['commit', '--quiet', '--no-verify', '--no-gpg-sign', '--cleanup=verbatim', '-F', '-'];
    await git(root, [...settings, ...args], { input: message });
  } catch (error) {
    throw explainMerge(error, repository);
  }
  return { kind: 'squashed', commit: await headOf(repository) };
}

/** The conflicting paths, or null when there are none. */
async function runMerge(
  repository: Repository,
  args: readonly string[],
  options: MergeOptions,
): Promise<string[] | null> {
  const unrelated = options.acceptRewritten ? ['--allow-unrelated-histories'] : [];
  try {
    await git(repository.root, [...settings, 'merge', ...quiet, ...unrelated, ...args], {
      ...(options.signal && { signal: options.signal }),
    });
    return null;
  } catch (error) {
    if (!isCommandFailure(error)) throw error;
    const { stdout } = await git(repository.root, [
      'diff',
      '--name-only',
      '--diff-filter=U',
      '--no-ext-diff',
      '-z',
    ]);
    const conflicts = splitNul(stdout).map(shown);
    if (conflicts.length === 0) throw explainMerge(error, repository);
    return conflicts;
  }
}

const treeOf = (root: string, commit: string) => gitLine(root, ['rev-parse', '--verify', `${commit}^{tree}`]);

async function sameTree(root: string, a: string, b: string): Promise<boolean> {
  return (await treeOf(root, a)) === (await treeOf(root, b));
}

async function headOf(repository: Repository): Promise<string> {
  const head = await gitLineOrNull(repository.root, ['rev-parse', '--verify', '--quiet', 'HEAD']);
  if (!head) throw unborn(repository);
  return head;
}
