// Gathers what a person should see before merging a hand-back: files that hosts execute, symlinks that lead
// out, gitlinks, new executables, bare repositories hidden in folders. Reads blobs, so it says how many bytes.

import {
  bareRepositoryCandidates,
  becameExecutable,
  type Change,
  isDeleted,
  isGitlink,
  isSymlink,
} from './changes.ts';
import { gitSealed } from './git.ts';
import { readHostCommands } from './host-commands.ts';
import type { Repository } from './open.ts';
import { readBlobs } from './read-blobs.ts';
import { type Contents, needsContent, type Risk, risks } from './risks.ts';
import { escapes } from './symlink.ts';

export interface Survey {
  risks: Risk[];
  /** At most 1000 of each list. */
  escapingSymlinks: { path: string; target: string }[];
  gitlinks: { path: string; commit: string }[];
  newExecutables: string[];
  /** Folders that git would take for a repository, and whose configuration it would obey. */
  embeddedRepositories: string[];
}

const LISTED = 1000;
const SYMLINK_MAX_BYTES = 4096;

export async function survey(
  repository: Repository,
  gitDir: string,
  tip: string,
  changes: readonly Change[],
  signal: AbortSignal,
): Promise<Survey> {
  const present = changes.filter((change) => !isDeleted(change));
  const links = present.filter(isSymlink);
  const packages = present.filter((change) => needsContent(change.path));
  const wanted = [...links.map((c) => c.newId), ...packages.flatMap((c) => [c.oldId, c.newId])];
  const [blobs, commands, embedded] = await Promise.all([
    readBlobs(gitDir, new Set(wanted), signal),
    readHostCommands(repository, signal),
    findEmbedded(gitDir, tip, changes, signal),
  ]);
  const contents = new Map<string, Contents>(
    packages.map((c) => [c.path, { before: blobs.get(c.oldId) ?? null, after: blobs.get(c.newId) ?? null }]),
  );
  const escaping = links
    .map((link) => ({ path: link.path, target: blobs.get(link.newId) ?? null }))
    .filter(
      ({ path, target }) => target === null || target.length > SYMLINK_MAX_BYTES || escapes(path, target),
    );
  return {
    risks: risks(changes, {
      contents,
      commands,
      embedded,
      escaping: new Set(escaping.map(({ path }) => path)),
    }),
    escapingSymlinks: escaping
      .slice(0, LISTED)
      .map(({ path, target }) => ({ path, target: (target ?? '').slice(0, SYMLINK_MAX_BYTES) })),
    gitlinks: present
      .filter(isGitlink)
      .slice(0, LISTED)
      .map((change) => ({ path: change.path, commit: change.newId })),
    newExecutables: present
      .filter(becameExecutable)
      .slice(0, LISTED)
      .map((change) => change.path),
    embeddedRepositories: embedded,
  };
}

async function findEmbedded(
  gitDir: string,
  tip: string,
  changes: readonly Change[],
  signal: AbortSignal,
): Promise<string[]> {
  const found: string[] = [];
  for (const folder of bareRepositoryCandidates(changes).slice(0, LISTED)) {
    // A name that is not text cannot be asked for by name: it is told without asking.
    if (folder.includes('\ufffd')) {
      found.push(folder);
      continue;
    }
    const parts = ['HEAD', 'objects', 'refs'].map((name) => (folder ? `${folder}/${name}` : name));
    const { stdout } = await gitSealed(gitDir, ['ls-tree', '-z', '--name-only', tip, '--', ...parts], {
      signal,
    });
    if (stdout.toString().split('\0').filter(Boolean).length === parts.length) found.push(folder || '.');
  }
  return found;
}
