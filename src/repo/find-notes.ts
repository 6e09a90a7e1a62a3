// Finds what was noted (see note.ts) of the hand-back that a commit came home with. The note is on the last of the commits
// that came together, so those that lead to it are looked through as well. Notes may have come from anywhere: who reads
// them doubts them.

import { WarrenError } from '../protocol/error.ts';
import { sanitizeLine } from '../protocol/sanitize.ts';
import { git, gitLine, gitLineOrNull } from './git.ts';
import { NOTES_REF } from './note.ts';
import type { Repository } from './open.ts';

export interface Note {
  /** That it is about. */
  commit: string;
  text: string;
}

const MAX_NOTE_BYTES = 64 * 1024;
/** Of commits between the one that is asked about and the noted ones: 1.5 million. */
const MAX_LIST_BYTES = 64 * 1024 * 1024;
const MOST_LOOKED_AT = 64;

/** Throws `repo.no-commit` when `revision` names none. */
export async function resolveCommit({ root }: Repository, revision: string): Promise<string> {
  const asked = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`];
  const { code, stdout } = await git(root, asked, { okCodes: [0, 1, 128] });
  if (code === 0) return stdout.toString().trim();
  throw new WarrenError({
    code: 'repo.no-commit',
    message: `there is no commit "${sanitizeLine(revision, 200)}" in ${sanitizeLine(root, 1000)}`,
    remedy: 'name a commit, a branch or HEAD, as for git log',
  });
}

/**
 * The nearest first: its own, then of what followed it, then of what it merged, which a guest may have chosen. `commit`: its
 * whole id.
 */
export async function* notesAbout(repository: Repository, commit: string): AsyncGenerator<Note> {
  const { root } = repository;
  const noted = await notedCommits(root);
  if (noted.size === 0) return;
  const own = noted.get(commit);
  if (own !== undefined) yield await read(root, commit, own);
  let looked = 0;
  for (const each of await following(root, commit, [...noted.keys()])) {
    const blob = noted.get(each);
    if (blob === undefined) continue;
    if (each === commit) continue;
    if (looked++ === MOST_LOOKED_AT) break;
    yield await read(root, each, blob);
  }
  const parents = await gitLine(root, ['rev-list', '--parents', '--max-count=1', commit]);
  const [, , ...merged] = parents.split(' ');
  for (const each of merged) if (noted.has(each)) yield await read(root, each, noted.get(each)!);
}

/** Its own; null when there is none. */
export async function noteOf({ root }: Repository, commit: string): Promise<string | null> {
  const blob = await gitLineOrNull(root, ['notes', `--ref=${NOTES_REF}`, 'list', commit]);
  return blob === null ? null : (await read(root, commit, blob)).text;
}

export async function isAncestor({ root }: Repository, commit: string, of: string): Promise<boolean> {
  // 128: there is no such commit any more.
  const asked = ['merge-base', '--is-ancestor', commit, of];
  return (await git(root, asked, { okCodes: [0, 1, 128] })).code === 0;
}

/** The objects that hold the notes, by what they are about. */
async function notedCommits(root: string): Promise<Map<string, string>> {
  const listed = await gitLine(root, ['notes', `--ref=${NOTES_REF}`, 'list'], {
    maxOutputBytes: MAX_LIST_BYTES,
  });
  const noted = new Map<string, string>();
  for (const line of listed.split('\n')) {
    const [blob, commit] = line.split(' ');
    if (blob && commit) noted.set(commit, blob);
  }
  return noted;
}

/** Commits that lead from it to one of `tips`, those first that came first. */
async function following(root: string, commit: string, tips: readonly string[]): Promise<string[]> {
  const order = ['rev-list', '--topo-order', '--reverse', '--ancestry-path', '--ignore-missing', '--stdin'];
  const input = [`^${commit}`, ...tips, ''].join('\n');
  const { stdout } = await git(root, order, { input, maxOutputBytes: MAX_LIST_BYTES });
  return stdout.toString('latin1').split('\n').slice(0, -1);
}

async function read(root: string, commit: string, blob: string): Promise<Note> {
  const { stdout } = await git(root, ['cat-file', 'blob', blob], { maxOutputBytes: MAX_NOTE_BYTES });
  return { commit, text: stdout.toString('utf8') };
}
