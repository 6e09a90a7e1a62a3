// Whether the user is in the middle of a merge, rebase, cherry-pick or revert: then nothing else may start.

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { WarrenError } from '../protocol/error.ts';
import { git } from './git.ts';
import type { Repository } from './open.ts';

const signs: readonly [file: string, what: string, abort: string][] = [
  ['MERGE_HEAD', 'a merge', 'git merge --abort'],
  ['rebase-merge', 'a rebase', 'git rebase --abort'],
  ['rebase-apply', 'a rebase', 'git rebase --abort'],
  ['CHERRY_PICK_HEAD', 'a cherry-pick', 'git cherry-pick --abort'],
  ['REVERT_HEAD', 'a revert', 'git revert --abort'],
  ['sequencer', 'a series of picks', 'git cherry-pick --abort'],
];

/** Throws `repo.operation-in-progress`. */
export async function operationInProgress(repository: Repository): Promise<void> {
  for (const [file, what, abort] of signs) {
    const there = await access(join(repository.gitDir, file)).then(
      () => true,
      () => false,
    );
    if (there) throw busy(`${what} is in progress`, `finish it, or run: ${abort}`);
  }
  const { stdout } = await git(repository.root, ['ls-files', '--unmerged', '-z']);
  if (stdout.length > 0)
    throw busy('files have unresolved conflicts', 'resolve them and commit, or run: git reset --merge');
}

function busy(what: string, remedy: string): WarrenError {
  return new WarrenError({ code: 'repo.operation-in-progress', message: `cannot merge: ${what}`, remedy });
}
