// Why git would not merge, in words with a remedy. Git's own check decides; nothing has changed when it refuses.

import { WarrenError } from '../protocol/error.ts';
import { sanitize, sanitizeLine } from '../protocol/sanitize.ts';
import { isCommandFailure, stderrOf } from './git.ts';
import type { Repository } from './open.ts';

export function explainMerge(error: unknown, repository: Repository): unknown {
  if (!isCommandFailure(error)) return error;
  const reason = stderrOf(error);
  if (
    /would be overwritten by (merge|checkout)|local changes.*overwritten|cannot merge: .*index|not uptodate/i.test(
      reason,
    )
  ) {
    const files = [...reason.matchAll(/^\t(.+)$/gm)].map((match) => sanitizeLine(match[1]!));
    const untracked = /untracked working tree files/i.test(reason);
    const what = untracked ? 'untracked files' : 'uncommitted changes';
    return new WarrenError(
      {
        code: 'repo.would-overwrite',
        message: `cannot merge: it would overwrite your ${what}${files.length > 0 ? ` in ${some(files)}` : ''}`,
        remedy: untracked
          ? 'move those files away, or run: git stash --include-untracked'
          : 'commit them, or run: git stash',
        details: { files },
      },
      { cause: error },
    );
  }
  if (/unable to auto-detect email|tell me who you are|empty ident/i.test(reason)) {
    return new WarrenError(
      {
        code: 'repo.no-identity',
        message: 'cannot merge: git does not know your name for the commit',
        remedy: 'run: git config --global user.name "…" && git config --global user.email "…"',
      },
      { cause: error },
    );
  }
  if (/unrelated histories/i.test(reason)) return historyRewritten(null, error);
  if (/index\.lock|Another git process/i.test(reason)) {
    return new WarrenError(
      {
        code: 'repo.locked',
        message: `cannot merge: another git command is at work in "${sanitize(repository.root)}"`,
        remedy: 'wait for it; if none is running, remove the lock file that git names: git status',
      },
      { cause: error },
    );
  }
  return new WarrenError(
    { code: 'repo.merge-failed', message: `cannot merge: ${sanitize(reason)}` },
    { cause: error },
  );
}

export function historyRewritten(sandbox: string | null, cause?: unknown): WarrenError {
  const whose = sandbox ? `of sandbox "${sanitizeLine(sandbox)}" ` : '';
  return new WarrenError(
    {
      code: 'repo.history-rewritten',
      message: `cannot merge: the history ${whose}does not descend from the commit it started from`,
      remedy: 'look at it with git log, then confirm that you want it',
    },
    { cause },
  );
}

export function stagedChanges(): WarrenError {
  return new WarrenError({
    code: 'repo.would-overwrite',
    message: 'cannot squash: your staged changes would become part of the commit',
    remedy: 'commit them, or run: git stash',
    details: { files: [] },
  });
}

export function unborn(repository: Repository): WarrenError {
  return new WarrenError({
    code: 'repo.merge-failed',
    message: `cannot merge: "${sanitize(repository.root)}" has no commit at HEAD`,
  });
}

function some(files: readonly string[]): string {
  const most = files.slice(0, 5).map((file) => `"${file}"`);
  return files.length > most.length
    ? `${most.join(', ')} and ${files.length - most.length} more`
    : most.join(', ');
}
