// A note on a commit that came home, under `refs/notes/warren`: `git log --notes=warren` shows it. Notes of the user
// are under other refs.

import { git, hardened } from './git.ts';
import type { Repository } from './open.ts';

const NOTES_REF = 'refs/notes/warren';
const IDENTITY = {
  GIT_AUTHOR_NAME: 'Warren',
  GIT_AUTHOR_EMAIL: 'warren@localhost',
  GIT_COMMITTER_NAME: 'Warren',
  GIT_COMMITTER_EMAIL: 'warren@localhost',
};

/** Replaces one that is there. `text` is ours, never a guest's. */
export async function noteCommit(repository: Repository, commit: string, text: string): Promise<void> {
  await git(
    repository.root,
    [
      ...hardened,
      '-c',
      'commit.gpgSign=false',
      'notes',
      `--ref=${NOTES_REF}`,
      'add',
      '-f',
      '-F',
      '-',
      commit,
    ],
    { input: text, env: IDENTITY },
  );
}
