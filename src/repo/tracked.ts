// Which files git tracks, and whom commits are by: what decides whether a prepared guest still fits.

import { git, gitLineOrNull } from './git.ts';
import type { Identity } from './manifest.ts';

const LIST_MAX_BYTES = 256 * 1024 * 1024;

/** Paths relative to the root, as the index has them, sorted by bytes. */
export async function trackedFiles(root: string, signal?: AbortSignal): Promise<string[]> {
  const { stdout } = await git(root, ['ls-files', '--cached', '-z'], {
    maxOutputBytes: LIST_MAX_BYTES,
    ...(signal && { signal }),
  });
  return [...new Set(stdout.toString('utf8').split('\0').filter(Boolean))];
}

/** null: git knows no name or no address. */
export async function readIdentity(root: string): Promise<Identity | null> {
  const [name, email] = await Promise.all([
    gitLineOrNull(root, ['config', '--get', 'user.name']),
    gitLineOrNull(root, ['config', '--get', 'user.email']),
  ]);
  return name && email ? { name, email } : null;
}
