// The ways in which a hand-back fails, each with its code: too large, rejected for what is in it, or
// interrupted. Reasons come from git about bytes of a guest, so they are made printable.

import { WarrenError } from '../protocol/error.ts';
import { sanitize } from '../protocol/sanitize.ts';
import { stderrOf } from './git.ts';

export function tooLarge(what: string, found: number, limit: number, unit: string): WarrenError {
  return new WarrenError({
    code: 'repo.handback-too-large',
    message: `cannot receive the hand-back: ${what} has ${found} ${unit}, the limit is ${limit}`,
    remedy: 'take what is too large out of the commits in the sandbox (git rebase -i), then try again',
    details: { what, found, limit, unit },
  });
}

export function rejected(reason: string, cause?: unknown): WarrenError {
  return new WarrenError(
    {
      code: 'repo.handback-rejected',
      message: `cannot receive the hand-back: ${sanitize(reason, 1000)}`,
      remedy: 'look at the commits in the sandbox: git fsck --strict, git log --stat',
    },
    { cause },
  );
}

export function interrupted(reason: string, cause?: unknown): WarrenError {
  return new WarrenError(
    {
      code: 'repo.handback-interrupted',
      message: `cannot receive the hand-back: ${sanitize(reason, 1000)}`,
      remedy: 'nothing was changed; try again',
    },
    { cause },
  );
}

/** What git said when it refused objects of a guest, as one of the errors above. */
export function fromGit(error: unknown, limitBytes: number): WarrenError {
  if (error instanceof WarrenError && error.code !== 'host.command-failed') return error;
  const reason = stderrOf(error)
    .split('\n')
    .filter((line) => /^(fatal|error|warning):/.test(line))
    .slice(-4)
    .map((line) => line.replace(/^(fatal|error|warning): /, ''))
    .join('; ');
  if (/pack exceeds maximum allowed size/.test(reason))
    return tooLarge('the pack', limitBytes, limitBytes, 'bytes or more');
  if (/over limit|out of memory/i.test(reason))
    return rejected(`an object is too large to unpack (${reason})`, error);
  if (/early EOF|did not receive expected pack header|read error on input/i.test(reason)) {
    return interrupted(`the pack ended early (${reason})`, error);
  }
  return rejected(reason || stderrOf(error) || 'git refused it', error);
}
