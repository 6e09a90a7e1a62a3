// Files of the working tree that the user's own git configuration runs: a hooks folder in the repository, a filter
// or driver that is a tracked script. A hand-back that changes one of them changes what git runs on the host.

import { git } from './git.ts';
import type { Repository } from './open.ts';
import type { HostCommands } from './risks.ts';

const keys =
  '^(core\\.(hookspath|fsmonitor|sshcommand|editor|pager|askpass)|filter\\..*\\.(clean|smudge|process)|' +
  'diff\\..*\\.(command|textconv)|diff\\.external|merge\\..*\\.driver|alias\\..*|gpg\\..*program|' +
  'credential\\..*helper|sequence\\.editor|interactive\\.difffilter)$';

export async function readHostCommands(repository: Repository, signal: AbortSignal): Promise<HostCommands> {
  const args = ['config', '-z', '--includes', '--get-regexp', keys];
  const { stdout } = await git(repository.root, args, { okCodes: [0, 1], signal });
  return parseHostCommands(stdout.toString('utf8'), repository.root);
}

/** Pure. `config` as `git config -z --get-regexp` prints it: key, newline, value, NUL. */
export function parseHostCommands(config: string, root: string): HostCommands {
  const named = new Set<string>();
  let hooksPath: string | null = null;
  for (const row of config.split('\0')) {
    const newline = row.indexOf('\n');
    if (newline < 0) continue;
    const value = row.slice(newline + 1);
    if (row.slice(0, newline) === 'core.hookspath') hooksPath = inside(value, root);
    else for (const word of value.split(/[\s'"`;|&()<>=!$]+/)) named.add(inside(word, root) ?? '');
  }
  named.delete('');
  return { hooksPath, named };
}

/** A path relative to the root, or null for one that is elsewhere. */
function inside(path: string, root: string): string | null {
  const relative = path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path;
  if (relative.startsWith('/') || relative.startsWith('~')) return null;
  const parts = relative.split('/').filter((part) => part !== '' && part !== '.');
  return parts.length === 0 || parts.includes('..') ? null : parts.join('/');
}
