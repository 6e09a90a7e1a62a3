// What `--env` says → which environment that is. Pure: a path is told from an image by its first character, and a
// Dockerfile from an archive by its name, never by what happens to lie on this disk.

import { basename, dirname, isAbsolute } from 'node:path';
import { WarrenError } from '../protocol/error.ts';
import { defaultEnvironment, type Environment } from './environment.ts';
import { parseReference } from './reference.ts';

/** `wanted`: null for the built-in one; a path has been made absolute by whoever knows the working directory. */
export function chooseEnvironment(wanted: string | null): Environment {
  if (wanted === null) return defaultEnvironment();
  if (isAbsolute(wanted)) {
    if (!wanted.includes('\0'))
      return isDockerfile(wanted) ? dockerfile(wanted) : { kind: 'files', path: wanted };
    throw new WarrenError({
      code: 'usage.environment',
      message: 'cannot use an environment with a NUL in its path',
    });
  }
  return { kind: 'image', reference: parseReference(wanted) };
}

/** `Dockerfile`, `Containerfile`, `Dockerfile.dev`, `dev.Dockerfile`. */
export function isDockerfile(path: string): boolean {
  return /^(?:Dockerfile|Containerfile)(?:\..+)?$|\.(?:dockerfile|containerfile)$/i.test(basename(path));
}

/** As container engines have it: the context is the folder of the file. */
function dockerfile(file: string): Environment {
  return { kind: 'dockerfile', file, context: dirname(file), target: null, args: {}, contexts: {} };
}
