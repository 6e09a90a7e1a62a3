// Which environment a sandbox gets: what was asked for, else what the repository's `warren.json` names, else its
// devcontainer.json, else what the user's settings name, else the built-in one. A repository may name images, and files of
// its own.

import { isAbsolute, join, relative } from 'node:path';
import { isDevcontainerFile, toEnvironment } from '../environment/devcontainer/index.ts';
import { chooseEnvironment, type Environment, isDockerfile } from '../environment/index.ts';
import type { UpRequest } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import { openRepository, type Repository } from '../repo/index.ts';
import { findDevcontainer, openDevcontainer } from './devcontainer/find.ts';
import type { Devcontainer } from './devcontainer/plan.ts';
import { type FileSettings, readSettings, userSettings } from './settings.ts';
import { requireInside } from './stay-inside.ts';

export interface FoundEnvironment {
  environment: Environment;
  /** For people: who says so; null: nobody, it is the built-in one. */
  from: string | null;
  devcontainer: Devcontainer | null;
}

export async function findEnvironment(
  repository: { root: string; name: string } | null,
  request: Pick<UpRequest, 'environment'>,
): Promise<FoundEnvironment> {
  const { environment: asked } = request;
  if (asked !== null)
    return isAbsolute(asked) && isDevcontainerFile(asked)
      ? await ofDevcontainer(await openDevcontainer(asked, repository), repository, '--env')
      : { environment: chooseEnvironment(asked), from: '--env', devcontainer: null };
  const project = repository ? await readSettings(join(repository.root, 'warren.json')) : {};
  if (project.environment !== undefined) return await named(project.environment, repository, 'warren.json');
  const devcontainer = repository && (await findDevcontainer(repository));
  if (devcontainer) return await ofDevcontainer(devcontainer, repository, devcontainer.shown);
  const user = await userSettings();
  if (user.environment !== undefined) return await named(user.environment, null, 'config.json');
  return { environment: chooseEnvironment(null), from: null, devcontainer: null };
}

/** By a file of settings; `repository`: whose file it is. */
async function named(
  setting: NonNullable<FileSettings['environment']>,
  repository: { root: string; name: string } | null,
  from: string,
): Promise<FoundEnvironment> {
  if (repository && typeof setting === 'string' && isDevcontainerFile(setting)) {
    const path = placeOf(setting, repository.root);
    return await ofDevcontainer(await openDevcontainer(path, repository), repository, from);
  }
  const environment = settingOf(setting, repository?.root ?? null);
  if (repository) await requireInside(repository.root, environment, { code: 'usage.settings', from });
  return { environment, from, devcontainer: null };
}

async function ofDevcontainer(
  devcontainer: Devcontainer,
  repository: { root: string } | null,
  from: string,
): Promise<FoundEnvironment> {
  const { file, path, shown } = devcontainer;
  const environment = toEnvironment(file, path, repository?.root ?? '/');
  if (repository)
    await requireInside(repository.root, environment, { code: 'environment.devcontainer', from: shown });
  return { environment, from, devcontainer };
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
