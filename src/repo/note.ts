// A note on a commit that came home, under `refs/notes/warren`: `git log --notes=warren` shows it. Notes of the user
// are under other refs.

import { git, hardened } from './git.ts';
import type { Repository } from './open.ts';

export const NOTES_REF = 'refs/notes/warren';
const IDENTITY = {
  GIT_AUTHOR_NAME: 'Warren',
  GIT_AUTHOR_EMAIL: 'warren@localhost',
  GIT_COMMITTER_NAME: 'Warren',
  GIT_COMMITTER_EMAIL: 'warren@localhost',
};

/** Replaces one that is there. `text` is ours, never a guest's. */
export async function noteCommit(repository: Repository, commit: string, text: string): Promise<void> {
  await change(repository, ['add', '-f', '-F', '-', commit], text);
}

/** What is noted about one commit is noted about another too, if anything is. */
export async function copyNote(repository: Repository, from: string, to: string): Promise<void> {
  const noted = ['notes', `--ref=${NOTES_REF}`, 'list', from];
  const { code } = await git(repository.root, noted, { okCodes: [0, 1] });
  if (code === 0) await change(repository, ['copy', '-f', from, to]);
}

async function change({ root }: Repository, what: readonly string[], input?: string): Promise<void> {
  const settings = [...hardened, '-c', 'commit.gpgSign=false'];
  const args = [...settings, 'notes', `--ref=${NOTES_REF}`, ...what];
  await git(root, args, { env: IDENTITY, ...(input !== undefined && { input }) });
}
