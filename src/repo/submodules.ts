// Finds the submodules that are checked out. A gitlink without a repository of its own at its path is not:
// asking git there would answer for the repository around it.

import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { git } from './git.ts';
import { openRepository, type Repository } from './open.ts';

export interface Submodule {
  /** Relative to the repository that holds it. */
  path: string;
  name: string;
  url: string | null;
  repository: Repository;
}

export async function findSubmodules(
  parent: Repository,
  gitlinks: readonly string[],
): Promise<{ checkedOut: Submodule[]; missing: string[] }> {
  const checkedOut: Submodule[] = [];
  const missing: string[] = [];
  if (gitlinks.length === 0) return { checkedOut, missing };
  const declared = await readDeclared(parent.root);
  const urls = await readConfig(parent.root, [], /^submodule\.(.*)\.url$/s);
  for (const path of gitlinks) {
    const folder = join(parent.root, path);
    const repository = (await lstat(join(folder, '.git')).catch(() => null))
      ? await openOrNull(folder)
      : null;
    if (!repository?.head) {
      missing.push(path);
      continue;
    }
    const { name, url } = declared.get(path) ?? { name: path, url: null };
    checkedOut.push({ path, name: safeName(name) ? name : path, url: urls.get(name) ?? url, repository });
  }
  return { checkedOut, missing };
}

async function openOrNull(folder: string): Promise<Repository | null> {
  return openRepository(folder).catch(() => null);
}

async function readDeclared(root: string): Promise<Map<string, { name: string; url: string | null }>> {
  const file = ['--file', join(root, '.gitmodules')];
  const paths = await readConfig(root, file, /^submodule\.(.*)\.path$/s);
  const urls = await readConfig(root, file, /^submodule\.(.*)\.url$/s);
  return new Map([...paths].map(([name, path]) => [path, { name, url: urls.get(name) ?? null }]));
}

/** Values by what the pattern's group finds in their key. An unreadable file counts as empty. */
async function readConfig(root: string, file: readonly string[], key: RegExp): Promise<Map<string, string>> {
  const { stdout, code } = await git(root, ['config', ...file, '-z', '--get-regexp', '^submodule\\.'], {
    okCodes: [0, 1, 3, 128],
  });
  const values = new Map<string, string>();
  if (code !== 0) return values;
  for (const row of stdout.toString('utf8').split('\0')) {
    const newline = row.indexOf('\n');
    const name = newline > 0 ? row.slice(0, newline).match(key)?.[1] : undefined;
    if (name !== undefined) values.set(name, row.slice(newline + 1));
  }
  return values;
}

/** A name becomes a folder under `modules`. */
function safeName(name: string): boolean {
  return (
    name.split('/').every((part) => part !== '' && part !== '.' && part !== '..') && !name.includes('\0')
  );
}
