// The devcontainer.json of a repository: looked for, or named.

import { readdir, stat } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import { join, relative } from 'node:path';
import {
  chooseDevcontainer,
  DEVCONTAINER_FOLDER,
  DEVCONTAINER_PLACES,
  FILE_MAX_BYTES,
} from '../../environment/devcontainer/index.ts';
import { readLimited } from '../../host/read-limited.ts';
import { WarrenError } from '../../protocol/error.ts';
import { GUEST_FOLDER } from '../naming.ts';
import { type Around, type Devcontainer, readDevcontainer } from './plan.ts';

const FOLDERS_MAX = 1000;

/** null: there is none. Throws `environment.devcontainer`. */
export async function findDevcontainer(repository: {
  root: string;
  name: string;
}): Promise<Devcontainer | null> {
  const { root } = repository;
  const below = await readdir(join(root, DEVCONTAINER_FOLDER), { withFileTypes: true }).catch(() => []);
  const places: string[] = [
    ...DEVCONTAINER_PLACES,
    ...below
      .filter((entry) => entry.isDirectory())
      .slice(0, FOLDERS_MAX)
      .map(({ name }) => `${DEVCONTAINER_FOLDER}/${name}/devcontainer.json`),
  ];
  const there = await Promise.all(places.map(async (place) => await isFile(join(root, place))));
  const place = chooseDevcontainer(places.filter((_, at) => there[at]));
  return place === null ? null : await openDevcontainer(join(root, place), repository);
}

/** `path`: absolute. Throws `environment.devcontainer`. */
export async function openDevcontainer(
  path: string,
  repository: { root: string; name: string } | null,
): Promise<Devcontainer> {
  if (!repository)
    throw new WarrenError({
      code: 'environment.devcontainer',
      message: `cannot use ${path} without a repository: its commands and folders mean one`,
      remedy: 'run: warren up --env FILE in the repository',
    });
  const text = await readLimited(path, FILE_MAX_BYTES).catch((cause: unknown) => {
    throw new WarrenError(
      {
        code: 'environment.devcontainer',
        message: `cannot read ${path}: ${(cause as Error).message}`,
        remedy: 'name a file that is there: --env ./.devcontainer/devcontainer.json',
      },
      { cause },
    );
  });
  const shown = relative(repository.root, path);
  return readDevcontainer(
    text.toString('utf8'),
    { path, shown: shown.startsWith('..') ? path : shown },
    aroundOf(repository),
  );
}

export function aroundOf({ root, name }: { root: string; name: string }): Around {
  return { root, guestPath: `${GUEST_FOLDER}/${name}`, localEnv: toldEnvironment() };
}

/** What a repository may know of whoever uses it. */
function toldEnvironment(): Record<string, string> {
  const { username } = userInfo();
  const { LANG, TZ } = process.env;
  return { USER: username, LOGNAME: username, HOME: homedir(), ...(LANG && { LANG }), ...(TZ && { TZ }) };
}

async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true;
}
