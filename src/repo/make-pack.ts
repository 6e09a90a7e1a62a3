// Writes the pack and index that a guest stores as they are. The host's deltas are reused; one pack always,
// whatever the user's configuration says about splitting.

import { join } from 'node:path';
import { WarrenError } from '../protocol/error.ts';
import { sanitize } from '../protocol/sanitize.ts';
import { git, gitLineOrNull, isCommandFailure, packThreads, stderrOf } from './git.ts';
import type { Repository } from './open.ts';
import type { Snapshot } from './snapshot.ts';

export interface MadePack {
  pack: string;
  idx: string;
}

const settings = [
  'pack.packSizeLimit=0',
  'pack.window=10',
  'pack.depth=50',
  'pack.windowMemory=256m',
  'pack.writeReverseIndex=false',
  'pack.island=',
  'core.fsmonitor=false',
].flatMap((setting) => ['-c', setting]);

/**
 * What `head` reaches and the snapshot's trees hold, without what `known` reaches, a commit that the guest has; null when
 * that is nothing.
 */
export async function makePack(
  repository: Repository,
  snapshot: Snapshot,
  options: { folder: string; known?: string | null; signal?: AbortSignal },
): Promise<MadePack | null> {
  const known = options.known ?? null;
  const tips = [repository.head, snapshot.index, snapshot.worktree].filter(
    (id) => id !== null && id !== known,
  );
  if (tips.length === 0) return null;
  // Its tree by itself too: trees are not held against commits.
  const revisions = known === null ? tips : [...tips, `^${known}`, `^${known}^{tree}`];
  const args = ['pack-objects', '--revs', '-q', '--delta-base-offset', `--threads=${packThreads()}`];
  const prefix = join(options.folder, 'pack');
  try {
    const { stdout } = await git(repository.root, [...settings, ...args, prefix], {
      env: snapshot.env,
      input: `${revisions.join('\n')}\n`,
      ...(options.signal && { signal: options.signal }),
    });
    const name = `${prefix}-${stdout.toString().trim()}`;
    return { pack: `${name}.pack`, idx: `${name}.idx` };
  } catch (error) {
    if (!isCommandFailure(error)) throw error;
    throw await explain(repository, error);
  }
}

async function explain(repository: Repository, error: WarrenError): Promise<WarrenError> {
  const shown = sanitize(repository.root);
  const promised = await gitLineOrNull(repository.root, [
    'config',
    '--get-regexp',
    '^remote\\..*\\.promisor$',
  ]);
  if (promised) {
    const remote = promised.slice('remote.'.length, promised.lastIndexOf('.promisor'));
    return new WarrenError(
      {
        code: 'repo.partial-clone',
        message: `cannot pack repository "${shown}": it is a partial clone, and objects of its history are not here`,
        remedy: `fetch them once: git fetch --refetch --no-filter ${sanitize(remote)}`,
      },
      { cause: error },
    );
  }
  return new WarrenError(
    {
      code: 'repo.pack-failed',
      message: `cannot pack repository "${shown}": ${sanitize(stderrOf(error))}`,
      remedy: 'see whether the repository is whole: git fsck',
    },
    { cause: error },
  );
}
