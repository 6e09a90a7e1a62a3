// `initializeCommand` runs on this computer, and mounts of type bind are this computer's files: neither happens unasked.
// Whoever is asked says yes to these very words, to the content of the files that they name, and to these paths. The daemon
// never runs the command itself: the person's own command line does.

import { createHash } from 'node:crypto';
import { mkdir, readFile, realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import * as v from 'valibot';
import { commandText, readMount } from '../../environment/devcontainer/index.ts';
import { writeJsonAtomic } from '../../host/atomic-file.ts';
import { type Layout, projectFiles } from '../../host/layout.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { Bind } from '../../protocol/up.ts';
import { trackedFiles } from '../../repo/index.ts';
import { digestInputs } from '../prepare/inputs.ts';
import type { Devcontainer } from './plan.ts';

const consentSchema = v.object({ initialize: v.pipe(v.array(v.string()), v.maxLength(1000)) });
const KEPT_MAX = 100;
const NAMED_MAX = 10_000;

/**
 * What may be copied in. Throws `environment.initialize` until `done` is the digest of what was allowed, or `skip`. Its
 * details are `InitializeDetails`.
 */
export async function checkInitialize(
  layout: Layout,
  repository: { root: string },
  { file, shown }: Devcontainer,
  done: string | null,
): Promise<Bind[]> {
  const command = file.initializeCommand || null;
  const binds = await bindsOf(file);
  if ((command === null && binds.length === 0) || done === 'skip') return [];
  const text = command === null ? '' : commandText(command);
  const named = text === '' ? [] : namedFiles(await trackedFiles(repository.root), text);
  const files = await digestInputs(repository.root, named);
  const digest = createHash('sha256')
    .update(JSON.stringify([command, files, binds]))
    .digest('hex');
  if (done === digest) return binds;
  const wishes = [
    ...(command === null ? [] : [`this run on this computer first: ${text}`]),
    ...binds.map(({ source, target }) => `${source} of this computer copied to ${target}`),
  ];
  const allowed = (await read(layout, repository.root)).includes(digest);
  throw new WarrenError({
    code: 'environment.initialize',
    message: `${shown} wants ${wishes.join(', and ')}`,
    remedy: 'warren up --initialize does it and remembers that it may; --no-initialize does without',
    details: { command, binds, digest, allowed, root: repository.root, text, files: named },
  });
}

/** By where their sources really are: a yes to a folder of the repository is none to where a link of it will lead one day. */
async function bindsOf(file: Devcontainer['file']): Promise<Bind[]> {
  const binds = (file.mounts ?? [])
    .map((wish) => readMount(wish))
    .filter(({ type, source }) => type === 'bind' && source.startsWith('/'))
    .map(async ({ source, target }) => ({
      source: await realpath(source).catch(() => source),
      target,
    }));
  return await Promise.all(binds);
}

/** What a runner reads that is named by no word. */
const RUNNERS: readonly [runner: RegExp, file: RegExp][] = [
  [/^g?make$/, /^(?:GNU)?[Mm]akefile$|\.mk$/],
  [/^(?:npm|npx|yarn|pnpm|bun)$/, /^package\.json$/],
  [/^just$/, /^\.?[Jj]ustfile$/],
  [/^task$/, /^[Tt]askfile(?:\.dist)?\.ya?ml$/],
  [/^rake$/, /^[Rr]akefile$/],
];

/** Pure. Tracked files by a name of the command, whatever folder it goes to first, and what its runners read. */
export function namedFiles(tracked: readonly string[], text: string): string[] {
  const words = text.split(/[\s'"`;&|()<>$={}]+/).map((word) => basename(word));
  const names = new Set(words.filter((word) => word !== ''));
  const read = RUNNERS.filter(([runner]) => words.some((word) => runner.test(word))).map(([, file]) => file);
  const chosen = tracked.filter((path) => {
    const name = basename(path);
    return names.has(name) || read.some((file) => file.test(name));
  });
  if (chosen.length <= NAMED_MAX) return chosen;
  throw new WarrenError({
    code: 'environment.devcontainer',
    message: `cannot ask for initializeCommand: it may mean ${chosen.length} files, and ${NAMED_MAX} are allowed`,
    remedy: 'warren up --no-initialize',
  });
}

/** A person said yes to what has this digest. */
export async function allowInitialize(layout: Layout, root: string, digest: string): Promise<void> {
  const { folder, consent } = projectFiles(layout, root);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const before = await read(layout, root);
  const initialize = [...before.filter((each) => each !== digest), digest].slice(-KEPT_MAX);
  await writeJsonAtomic(consent, { initialize });
}

async function read(layout: Layout, root: string): Promise<string[]> {
  const text = await readFile(projectFiles(layout, root).consent, 'utf8').catch(() => '{}');
  try {
    const parsed = v.safeParse(consentSchema, JSON.parse(text));
    return parsed.success ? parsed.output.initialize : [];
  } catch {
    // What cannot be read allows nothing.
    return [];
  }
}
