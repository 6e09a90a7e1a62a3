// Finds the git repository that a path stands in. It is asked of git, not guessed: the path may be a
// subfolder, a linked worktree or a submodule, and every path may hold spaces, newlines or any letters.

import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { WarrenError } from '../protocol/error.ts';
import { sanitize } from '../protocol/sanitize.ts';
import { git, gitLine, gitLineOrNull, isCommandFailure, stderrOf } from './git.ts';
import { requireGit } from './git-version.ts';
import { safeBasename } from './ref-name.ts';

export interface Repository {
  /** The top of the working tree, absolute. */
  root: string;
  /** Of this working tree: its HEAD and index. */
  gitDir: string;
  /** What all working trees share: objects, branches, configuration. */
  commonDir: string;
  objectFormat: 'sha1' | 'sha256';
  /** The commit checked out; null when there is none yet. */
  head: string | null;
  /** The branch checked out, without `refs/heads/`; null when HEAD is detached. */
  branch: string | null;
  /** The folder's name made safe for a path in a guest. */
  name: string;
}

export async function openRepository(path: string): Promise<Repository> {
  const from = resolve(path);
  const found = await stat(from).catch(() => null);
  if (!found?.isDirectory())
    throw notARepository(from, found ? 'it is not a folder' : 'there is no such folder');
  await requireGit();
  const asking = Promise.all([
    gitLineOrNull(from, ['rev-parse', '--verify', '--quiet', 'HEAD^{commit}']),
    gitLineOrNull(from, ['symbolic-ref', '--quiet', 'HEAD']),
  ]);
  // Where there is no repository, `places` says it better.
  asking.catch(() => {});
  const [root, gitDir, commonDir, objectFormat] = await places(from);
  const [head, ref] = await asking;
  if (objectFormat !== 'sha1' && objectFormat !== 'sha256') {
    throw new WarrenError({
      code: 'repo.object-format',
      message: `cannot use repository "${sanitize(root)}": its object format "${sanitize(objectFormat)}" is unknown`,
    });
  }
  const branch = ref?.startsWith('refs/heads/') ? ref.slice('refs/heads/'.length) : null;
  return { root, gitDir, commonDir, objectFormat, head, branch, name: safeBasename(basename(root)) };
}

/** Top level, git folder, common folder, object format. */
type Places = [root: string, gitDir: string, commonDir: string, objectFormat: string];

const ASKED = [
  ['--show-toplevel'],
  ['--absolute-git-dir'],
  ['--path-format=absolute', '--git-common-dir'],
  ['--show-object-format'],
] as const;

/** By one git, unless a path holds a newline. */
async function places(from: string): Promise<Places> {
  try {
    const lines = (await gitLine(from, ['rev-parse', ...ASKED.flat()])).split('\n');
    if (lines.length === ASKED.length) return lines as Places;
    return (await Promise.all(ASKED.map((asked) => gitLine(from, ['rev-parse', ...asked])))) as Places;
  } catch (error) {
    if (!isCommandFailure(error)) throw error;
    throw await explain(from, stderrOf(error), error);
  }
}

async function explain(from: string, reason: string, cause: unknown): Promise<WarrenError> {
  const shown = sanitize(from);
  if (/dubious ownership|safe\.directory/.test(reason)) {
    return new WarrenError(
      {
        code: 'repo.dubious-ownership',
        message: `cannot open repository "${shown}": it belongs to another user, and git does not trust it`,
        remedy: `if you trust it, run: ${reason.match(/git config --global --add safe\.directory .*/)?.[0] ?? `git config --global --add safe.directory '${shown}'`}`,
      },
      { cause },
    );
  }
  const bare = await git(from, ['rev-parse', '--is-bare-repository'], { okCodes: [0, 128] });
  if (bare.stdout.toString().trim() === 'true') {
    return new WarrenError(
      {
        code: 'repo.bare',
        message: `cannot open repository "${shown}": it is bare, it has no working tree`,
        remedy: 'clone it and stand in the clone, or run: git worktree add ../work',
      },
      { cause },
    );
  }
  if (/must be run in a work tree/.test(reason)) return notARepository(from, 'it is inside a .git folder');
  if (/not a git repository/i.test(reason)) return notARepository(from, 'git finds no repository here');
  return new WarrenError(
    { code: 'repo.unreadable', message: `cannot open repository "${shown}": ${sanitize(reason)}` },
    { cause },
  );
}

function notARepository(path: string, why: string): WarrenError {
  return new WarrenError({
    code: 'repo.not-a-repository',
    message: `cannot open repository "${sanitize(path)}": ${why}`,
    remedy: 'run: git init (or warren run --no-repo for a sandbox without a repository)',
  });
}
