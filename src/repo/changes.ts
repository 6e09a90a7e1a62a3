// What a hand-back changes against its base, one row per path, and the questions that are asked of rows. Pure.

import { EXECUTABLE, GITLINK, SYMLINK } from './entries.ts';

export interface Change {
  /** A added, M modified, D deleted, T type changed. */
  status: 'A' | 'M' | 'D' | 'T';
  /** Six digits; zeros where there is nothing on that side. */
  oldMode: string;
  newMode: string;
  oldId: string;
  newId: string;
  /** As a person reads it; bytes that are not UTF-8 are replaced. */
  path: string;
}

export const isDeleted = (change: Change) => change.status === 'D';
export const isSymlink = (change: Change) => change.newMode === SYMLINK;
export const isGitlink = (change: Change) => change.newMode === GITLINK;
export const becameExecutable = (change: Change) =>
  change.newMode === EXECUTABLE && change.oldMode !== EXECUTABLE;

/** Folders that a change makes look like a bare repository: git would run what their config names. */
export function bareRepositoryCandidates(changes: readonly Change[]): string[] {
  const folders = new Set<string>();
  for (const change of changes) {
    if (isDeleted(change)) continue;
    const match = change.path.match(/^(?:(.*)\/)?(?:HEAD|objects\/.*|refs\/.*)$/s);
    if (match) folders.add(match[1] ?? '');
  }
  return [...folders];
}
