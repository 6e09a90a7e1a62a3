// Removes the refs that a sandbox's hand-backs made. The commits stay until git collects them, and longer where
// a branch has them.

import { git, hardened } from './git.ts';
import type { Repository } from './open.ts';
import { refFolder } from './ref-name.ts';

export interface DropResult {
  /** The refs removed and the commits they were at. */
  refs: { ref: string; tip: string }[];
}

export async function dropRefs(repository: Repository, sandbox: string): Promise<DropResult> {
  const refs = await listRefs(repository, sandbox);
  if (refs.length === 0) return { refs };
  const input = refs.map(({ ref, tip }) => `delete ${ref} ${tip}\n`).join('');
  await git(repository.root, [...hardened, 'update-ref', '--no-deref', '--stdin'], { input });
  return { refs };
}

/** What hand-backs of `sandbox` have brought home. */
export async function listRefs(
  repository: Repository,
  sandbox: string,
): Promise<{ ref: string; tip: string }[]> {
  const args = ['for-each-ref', '--format=%(objectname) %(refname)', refFolder(sandbox)];
  const { stdout } = await git(repository.root, args);
  return stdout
    .toString()
    .split('\n')
    .filter(Boolean)
    .map((row) => ({ tip: row.slice(0, row.indexOf(' ')), ref: row.slice(row.indexOf(' ') + 1) }));
}
