// What stays on the host when a repository travels, so that nobody wonders where a file went. Totals count
// everything; an ignored folder (`node_modules/`) counts as one.

import type { Withheld } from '../protocol/api.ts';
import { sanitizeLine } from '../protocol/sanitize.ts';
import { shown, splitNul } from './entries.ts';
import { isEnvFile } from './env-file.ts';
import { type GitOptions, git } from './git.ts';

export type { Withheld };

/** What one repository or submodule leaves behind; paths relative to it. */
export interface LeftBehind {
  untracked: string[];
  ignored: string[];
  /** Files that look like secrets: untracked, ignored, or staged but never committed. */
  env: string[];
  /** Tracked files that look like secrets: what was committed is in the history and travels with it. */
  envTracked: string[];
  /** Files with an open merge conflict: they travel as they are on disk, the merge in progress does not. */
  conflicted: string[];
  submodulesNotCheckedOut: string[];
}

const LISTED_PATHS = 20;
const LIST_MAX_BYTES = 512 * 1024 * 1024;

export async function listOthers(
  root: string,
  options: { carry: ReadonlySet<string>; signal?: AbortSignal },
): Promise<Pick<LeftBehind, 'untracked' | 'ignored' | 'env'>> {
  const others = ['-c', 'core.fsmonitor=false', 'ls-files', '--others', '--exclude-standard', '-z'];
  const on: GitOptions = {
    maxOutputBytes: LIST_MAX_BYTES,
    ...(options.signal && { signal: options.signal }),
  };
  const [untracked = [], ignored = []] = (
    await Promise.all([
      git(root, others, on),
      git(root, [...others, '--ignored', '--directory', '--no-empty-directory'], on),
    ])
  ).map(({ stdout }) => splitNul(stdout).map(shown));
  const stays = (path: string) => !options.carry.has(path);
  return {
    untracked: untracked.filter((path) => stays(path) && !isEnvFile(path)),
    ignored: ignored.filter((path) => stays(path) && !isEnvFile(path)),
    env: [...untracked, ...ignored].filter(isEnvFile).filter(stays),
  };
}

/** One report for a repository and its submodules; `path` is "" for the repository itself. Pure. */
export function report(parts: readonly { path: string; left: LeftBehind }[]): Withheld {
  const all = (pick: (left: LeftBehind) => readonly string[]) =>
    parts.flatMap(({ path, left }) => pick(left).map((name) => (path ? `${path}/${name}` : name))).sort();
  const untracked = all((left) => left.untracked);
  const env = all((left) => left.env);
  const missing = all((left) => left.submodulesNotCheckedOut);
  return {
    untracked: untracked.slice(0, LISTED_PATHS),
    untrackedTotal: untracked.length,
    ignoredTotal: all((left) => left.ignored).length,
    env: env.slice(0, LISTED_PATHS),
    submodulesNotCheckedOut: missing.slice(0, LISTED_PATHS),
    notices: [
      ...notice(
        all((left) => left.envTracked),
        'is tracked by git: what was committed travels with the history, uncommitted changes to it stay here',
      ),
      ...notice(
        all((left) => left.conflicted),
        'has an unresolved merge conflict: it travels as it is on disk, the merge in progress stays here',
      ),
      ...tooMany(env, 'files that look like secrets'),
      ...tooMany(missing, 'submodules that are not checked out'),
    ],
  };
}

function notice(paths: readonly string[], what: string): string[] {
  const rows = paths.slice(0, LISTED_PATHS).map((path) => `"${sanitizeLine(path)}" ${what}`);
  return paths.length > LISTED_PATHS ? [...rows, `and ${paths.length - LISTED_PATHS} more such files`] : rows;
}

function tooMany(paths: readonly string[], what: string): string[] {
  return paths.length > LISTED_PATHS
    ? [`${paths.length} ${what} stay here; the first ${LISTED_PATHS} are listed`]
    : [];
}
