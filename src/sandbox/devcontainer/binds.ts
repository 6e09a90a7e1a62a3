// `mounts` of type bind: nothing of this computer is mounted into a machine, but a person may let a copy go in.

import { lstat } from 'node:fs/promises';
import { posix } from 'node:path';
import { packPath } from '../../host/pack-path.ts';
import type { Link } from '../../machine/link/link.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { Bind } from '../../protocol/up.ts';

const TIMEOUT_MS = 10 * 60_000;

/** Answers a notice for each that did not go in. */
export async function copyBinds(
  link: Link,
  binds: readonly Bind[],
  user: string,
  signal: AbortSignal,
): Promise<string[]> {
  const notices: string[] = [];
  for (const { source, target } of binds) {
    try {
      await lstat(source);
      const query = new URLSearchParams({ path: posix.dirname(target), user });
      const tar = packPath(source, posix.basename(target));
      await link.sendTar(`/warren/archive?${query}`, tar, { method: 'PUT', timeoutMs: TIMEOUT_MS, signal });
    } catch (error) {
      signal.throwIfAborted();
      notices.push(`mounts: ${source} was not copied to ${target}: ${WarrenError.from(error).message}`);
    }
  }
  return notices;
}
