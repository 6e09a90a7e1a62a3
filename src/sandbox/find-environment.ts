// Which environment a sandbox gets: what was asked for, else what the repository's `warren.json` names, else what the
// user's settings name, else the built-in one. A repository may name images, and files of its own.

import { isAbsolute, join, relative } from 'node:path';
import { chooseEnvironment, type Environment, isDockerfile } from '../environment/index.ts';
import type { UpRequest } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import { openRepository, type Repository } from '../repo/index.ts';
import { type FileSettings, readSettings, userSettings } from './settings.ts';

export interface FoundEnvironment {
  environment: Environment;
  /** For people: who says so; null: nobody, it is the built-in one. */
  from: string | null;
}

export async function findEnvironment(
  repository: { root: string } | null,
  request: Pick<UpRequest, 'environment'>,
): Promise<FoundEnvironment> {
  if (request.environment !== null)
    return { environment: chooseEnvironment(request.environment), from: '--env' };
  const project = repository ? await readSettings(join(repository.root, 'warren.json')) : {};
  if (project.environment !== undefined)
    return { environment: settingOf(project.environment, repository!.root), from: 'warren.json' };
  const user = await userSettings();
  if (user.environment !== undefined)
    return { environment: settingOf(user.environment, null), from: 'config.json' };
  return { environment: chooseEnvironment(null), from: null };
}

/** null: there is none. */
export async function repositoryAt(path: string): Promise<Repository | null> {
  try {
    return await openRepository(path);
  } catch (error) {
    if (WarrenError.from(error).code === 'repo.not-a-repository') return null;
    throw error;
  }
}

/** Pure. `root`: of the repository that says it; null: the user does. Throws `usage.settings`. */
export function settingOf(
  setting: NonNullable<FileSettings['environment']>,
  root: string | null,
): Environment {
  if (typeof setting === 'string') {
    const isPath = /^[./]/.test(setting) || isDockerfile(setting);
    return chooseEnvironment(isPath ? placeOf(setting, root) : setting);
  }
  const file = placeOf(setting.dockerfile, root);
  const context = setting.context === undefined ? join(file, '..') : placeOf(setting.context, root);
  const { target = null, args = {} } = setting;
  return { kind: 'dockerfile', file, context, target, args, contexts: {} };
}

function placeOf(path: string, root: string | null): string {
  if (root === null && isAbsolute(path)) return path;
  const place = join(root ?? '', path);
  const inside = root === null ? '..' : relative(root, place);
  if (root !== null && !isAbsolute(path) && inside !== '..' && !inside.startsWith('../')) return place;
  throw new WarrenError({
    code: 'usage.settings',
    message: `cannot use the environment ${JSON.stringify(path)}: ${root === null ? 'it is no absolute path' : 'it is not in the repository'}`,
    remedy:
      root === null ? 'write an absolute path' : 'name a file of the repository, such as "./Dockerfile"',
  });
}
