// Paths that a repository names, by where they really are: a symlink on the way to one may lead out of it, and what lies
// there would travel into a guest of the repository's choosing.

import { realpath } from 'node:fs/promises';
import { relative } from 'node:path';
import type { Environment } from '../environment/index.ts';
import { type ErrorCode, WarrenError } from '../protocol/error.ts';

/** What is not there is left to whoever opens it. Throws `code`. */
export async function requireInside(
  root: string,
  environment: Environment,
  { code, from }: { code: ErrorCode; from: string },
): Promise<void> {
  const real = await realpath(root);
  for (const path of pathsOf(environment)) {
    const place = await realpath(path).catch(() => null);
    if (place === null) continue;
    const inside = relative(real, place);
    if (inside !== '..' && !inside.startsWith('../')) continue;
    throw new WarrenError({
      code,
      message: `${from}: a link makes ${path} ${place}, which is not in the repository`,
      remedy: `if that is meant, say so by hand: warren up --env ${place}`,
    });
  }
}

function pathsOf(environment: Environment): string[] {
  if (environment.kind === 'dockerfile') return [environment.file, environment.context];
  return environment.kind === 'files' ? [environment.path] : [];
}
