// What a hand-back changes against its base, as rows: the output of `diff-tree -r -z --raw`, parsed as it
// comes. Every byte is from a guest: rows, path lengths and their sum are limited.

import { Writable } from 'node:stream';
import { EXECUTABLE, GITLINK, SYMLINK, shown } from './entries.ts';
import { tooLarge } from './handback-error.ts';

export interface Change {
  /** A added, M modified, D deleted, T type changed. */
  status: 'A' | 'M' | 'D' | 'T';
  oldMode: string;
  newMode: string;
  oldId: string;
  newId: string;
  /** As a person reads it; bytes that are not UTF-8 are replaced. */
  path: string;
}

export interface ChangeLimits {
  rows: number;
  pathBytes: number;
  totalPathBytes: number;
}

/** A sink for `diff-tree -r -z --raw`; `changes` is whole once it has finished. */
export function changeSink(limits: ChangeLimits): { sink: Writable; changes: Change[] } {
  const changes: Change[] = [];
  let rest = '';
  let head: string[] | null = null;
  let totalPathBytes = 0;
  const accept = (token: string) => {
    if (head === null) {
      head = token.replace(/^:/, '').split(' ');
      return;
    }
    const [oldMode = '', newMode = '', oldId = '', newId = '', status = ''] = head;
    head = null;
    totalPathBytes += token.length;
    if (token.length > limits.pathBytes) throw tooLarge('a path', token.length, limits.pathBytes, 'bytes');
    if (totalPathBytes > limits.totalPathBytes) {
      throw tooLarge('its changed paths', totalPathBytes, limits.totalPathBytes, 'bytes');
    }
    if (changes.length >= limits.rows) throw tooLarge('its change', changes.length + 1, limits.rows, 'files');
    const letter = status[0] as Change['status'];
    changes.push({ status: letter, oldMode, newMode, oldId, newId, path: shown(token) });
  };
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      try {
        const tokens = (rest + chunk.toString('latin1')).split('\0');
        rest = tokens.pop() ?? '';
        for (const token of tokens) accept(token);
        if (rest.length > limits.pathBytes + 200)
          throw tooLarge('a path', rest.length, limits.pathBytes, 'bytes');
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
  return { sink, changes };
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
