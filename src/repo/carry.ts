// Files that `warren.json` asks to carry along although git does not track them (`.env`). Only plain files
// inside the repository, reached without any symlink: the list is repository content, and may be hostile.

import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { WarrenError } from '../protocol/error.ts';
import { sanitizeLine } from '../protocol/sanitize.ts';

export interface CarriedFile {
  /** Relative to the repository's root, `/` between parts. */
  path: string;
  bytes: number;
  executable: boolean;
}

export async function findCarried(root: string, carry: readonly string[]): Promise<CarriedFile[]> {
  const paths = [...new Set(carry.map(carryPath))];
  return Promise.all(paths.map((path) => findOne(root, path)));
}

/** Normal form of one `carry` entry, or an error: it must be a relative path that stays inside. */
export function carryPath(entry: string): string {
  const parts = entry.split('/').filter((part) => part !== '' && part !== '.');
  const bad =
    entry.startsWith('/') ||
    entry.includes('\0') ||
    parts.length === 0 ||
    parts.some((part) => part === '..' || part.toLowerCase() === '.git');
  if (bad)
    throw refused('repo.carry-outside', entry, 'it must be a path inside the repository, and not in .git');
  return parts.join('/');
}

/** The file's content, exactly as long as it was found to be. */
export async function openCarried(root: string, file: CarriedFile): Promise<Readable> {
  const handle = await open(
    join(root, file.path),
    constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  );
  const found = await handle.stat();
  if (!found.isFile() || found.size !== file.bytes) {
    await handle.close();
    throw refused('repo.carry-changed', file.path, 'it changed while it was packed');
  }
  // `end` is inclusive; an empty file has no byte to end on.
  return handle.createReadStream(file.bytes > 0 ? { start: 0, end: file.bytes - 1 } : {});
}

async function findOne(root: string, path: string): Promise<CarriedFile> {
  const parts = path.split('/');
  for (let depth = 1; depth <= parts.length; depth++) {
    const part = parts.slice(0, depth).join('/');
    const found = await lstat(join(root, part)).catch(() => null);
    if (!found) throw refused('repo.carry-missing', path, 'there is no such file');
    if (found.isSymbolicLink())
      throw refused('repo.carry-outside', path, `"${sanitizeLine(part)}" is a symlink`);
    if (depth === parts.length) {
      if (!found.isFile()) throw refused('repo.carry-not-a-file', path, 'it is not a plain file');
      return { path, bytes: found.size, executable: (found.mode & 0o100) !== 0 };
    }
  }
  throw refused('repo.carry-missing', path, 'there is no such file');
}

function refused(code: `repo.${string}`, path: string, why: string): WarrenError {
  return new WarrenError({
    code,
    message: `cannot carry "${sanitizeLine(path)}": ${why}`,
    remedy: 'correct "carry" in warren.json: it lists files, relative to the root of the repository',
    details: { path },
  });
}
