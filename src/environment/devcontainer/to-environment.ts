// Which image or Dockerfile a devcontainer.json names. Paths in it are relative to its folder and stay in the repository.

import { dirname, join, relative } from 'node:path';
import { WarrenError } from '../../protocol/error.ts';
import type { DockerfileEnvironment, ImageEnvironment } from '../environment.ts';
import { parseReference } from '../reference.ts';
import type { DevcontainerFile } from './schema.ts';

/** `path`: of the file, absolute; `root`: of the repository. Throws `environment.devcontainer`, `usage.environment`. */
export function toEnvironment(
  file: DevcontainerFile,
  path: string,
  root: string,
): ImageEnvironment | DockerfileEnvironment {
  const dockerfile = file.dockerFile ?? file.build?.dockerfile;
  if (dockerfile !== undefined) {
    const at = placeIn(root, dirname(path), dockerfile, path);
    const context = file.dockerFile === undefined ? file.build?.context : file.context;
    return {
      kind: 'dockerfile',
      file: at,
      // The folder of what is no file may be outside.
      context: placeIn(root, dirname(path), context ?? join(dockerfile, '..'), path),
      target: file.build?.target ?? null,
      args: file.build?.args ?? {},
      contexts: {},
    };
  }
  if (file.image !== undefined) return { kind: 'image', reference: parseReference(file.image) };
  throw new WarrenError({
    code: 'environment.devcontainer',
    message: `${path}: it names neither an image nor a Dockerfile`,
    remedy: 'add "image": "REFERENCE", or "build": {"dockerfile": "Dockerfile"}',
  });
}

function placeIn(root: string, folder: string, path: string, file: string): string {
  const place = join(folder, path);
  const inside = relative(root, place);
  if (!path.startsWith('/') && inside !== '..' && !inside.startsWith('../')) return place;
  throw new WarrenError({
    code: 'environment.devcontainer',
    message: `${file}: ${JSON.stringify(path)} is not in the repository`,
    remedy: 'name a file of the repository, relative to the folder of devcontainer.json',
  });
}
