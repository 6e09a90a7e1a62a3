// What a new sandbox is made of: flags, then the repository's `warren.json`, then the user's `config.json`,
// then defaults. The repository's file is a request by whoever wrote the repository: it may choose sizes within
// the limits and name files of the repository itself to carry, nothing else.

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parse } from 'jsonc-parser';
import * as v from 'valibot';
import { syntaxObjection } from '../egress/policy/syntax.ts';
import { layoutFrom } from '../host/layout.ts';
import { readLimited } from '../host/read-limited.ts';
import type { UpRequest } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';
import { plainObject, shapeObjection } from '../protocol/shape.ts';

export interface Settings {
  cpus: number;
  memoryMib: number;
  diskGib: number;
  /** Paths relative to the repository's root that travel although git does not track them. */
  carry: string[];
  prepare: NonNullable<FileSettings['prepare']> | null;
}

const FILE_MAX_BYTES = 4 * 1024 ** 2;
const USERS_ONLY = [
  ['downloads', 'what is kept of downloads on this host'],
  ['ca', 'whom this host trusts'],
  ['upstreamProxy', 'the way out of this host'],
  ['registries', 'how registries are reached'],
] as const;

/** Half of the cores, so that several machines and their user get on. */
const DEFAULT_CPUS = Math.max(1, Math.min(4, Math.floor(availableParallelism() / 2)));

const DEFAULTS: Settings = { cpus: DEFAULT_CPUS, memoryMib: 1024, diskGib: 16, carry: [], prepare: null };

const addresses = v.exactOptional(
  v.pipe(
    v.array(
      v.pipe(v.string(), v.regex(/^https?:\/\/[a-z0-9.:[\]-]+(?:\/[\w./~-]*)?$/, 'not an address'), v.url()),
    ),
    v.maxLength(100),
  ),
);
const downloadsSchema = plainObject({
  keep: v.exactOptional(v.boolean()),
  maxGib: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(10_000))),
  registries: v.exactOptional(plainObject({ npm: addresses, pypi: addresses, cargo: addresses })),
});

const word = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));
const environmentSchema = v.union([
  word,
  plainObject({
    dockerfile: word,
    context: v.exactOptional(word),
    target: v.exactOptional(word),
    args: v.exactOptional(v.record(v.string(), v.string())),
  }),
]);

const command = v.pipe(v.string(), v.minLength(1), v.maxLength(16_384));
const commands = v.union([command, v.pipe(v.array(command), v.minLength(1), v.maxLength(100))]);
const prepareSchema = v.union([
  commands,
  plainObject({
    run: commands,
    /** Patterns of files that decide whether it is done again. */
    inputs: v.exactOptional(v.pipe(v.array(word), v.maxLength(1000))),
    /** In seconds. */
    timeout: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(86_400))),
  }),
]);

const fileSchema = plainObject({
  $schema: v.exactOptional(v.string()),
  environment: v.exactOptional(environmentSchema),
  /** The repository's only: what is done once with the repository there. */
  prepare: v.exactOptional(prepareSchema),
  cpus: v.exactOptional(v.number()),
  memory: v.exactOptional(v.number()),
  disk: v.exactOptional(v.number()),
  /** Of the user's file: the port of stable names, 0 for none. */
  namesPort: v.exactOptional(v.number()),
  carry: v.exactOptional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(4096))), v.maxLength(1000))),
  /** Read by `egress/policy/parse.ts`. */
  network: v.exactOptional(v.unknown()),
  egress: v.exactOptional(v.unknown()),
  /** The user's only: files of PEM certificates that upstreams are verified with, besides the system's. */
  ca: v.exactOptional(
    v.pipe(v.array(v.pipe(v.string(), v.startsWith('/'), v.maxLength(4096))), v.maxLength(20)),
  ),
  /** The user's only: where doors send everything, `http://[user:password@]host:port`. */
  upstreamProxy: v.exactOptional(
    v.pipe(
      v.string(),
      v.regex(/^http:\/\/(?:[^\s/@]+@)?[^\s/@]+:\d{1,5}\/?$/, 'write "http://proxy.example:3128"'),
      v.url(),
    ),
  ),
  /** The user's only: registries (HOST or HOST:PORT) that are asked over plain HTTP. */
  registries: v.exactOptional(
    plainObject({
      plainHttp: v.exactOptional(
        v.pipe(
          v.array(v.pipe(v.string(), v.regex(/^[a-z0-9.-]+(?::[0-9]{1,5})?$/, 'not HOST:PORT'))),
          v.maxLength(100),
        ),
      ),
    }),
  ),
  /** The user's only. */
  downloads: v.exactOptional(downloadsSchema),
});

export type FileSettings = v.InferOutput<typeof fileSchema>;

export async function settingsFor(
  repository: { root: string } | null,
  request: Pick<UpRequest, 'cpus' | 'memoryMib' | 'diskGib'>,
): Promise<Settings> {
  const user = await userSettings();
  const project = repository ? await readSettings(join(repository.root, 'warren.json')) : {};
  return decide(request, project, user);
}

/** Throws `usage.settings`. */
export async function userSettings(): Promise<FileSettings> {
  return readSettings(userSettingsFile());
}

function userSettingsFile(): string {
  return join(layoutFrom().config, 'config.json');
}

/** Pure. Throws `usage.size` for what no machine can have. */
export function decide(
  request: Pick<UpRequest, 'cpus' | 'memoryMib' | 'diskGib'>,
  project: FileSettings,
  user: FileSettings,
): Settings {
  for (const [key, what] of USERS_ONLY)
    if (project[key] !== undefined)
      throw new WarrenError({
        code: 'usage.settings',
        message: `cannot use warren.json: ${what} is not for a repository to choose`,
        remedy: `move "${key}" to ${userSettingsFile()}`,
      });
  const settings: Settings = {
    cpus: request.cpus ?? project.cpus ?? user.cpus ?? DEFAULTS.cpus,
    memoryMib: request.memoryMib ?? project.memory ?? user.memory ?? DEFAULTS.memoryMib,
    diskGib: request.diskGib ?? project.disk ?? user.disk ?? DEFAULTS.diskGib,
    carry: project.carry ?? [],
    prepare: project.prepare ?? null,
  };
  check('--cpus', settings.cpus, 1, limits.cpusMax, '');
  check('--memory', settings.memoryMib, limits.memoryMinMib, limits.memoryMaxMib, ' MiB');
  check('--disk', settings.diskGib, limits.diskMinGib, limits.diskMaxGib, ' GiB');
  return settings;
}

/** Pure. As large as a devcontainer.json needs it, except where a person said how large. */
export function withRequirements(
  settings: Settings,
  required: { cpus: number | null; memoryBytes: number | null; storageBytes: number | null } | null,
  asked: Pick<UpRequest, 'cpus' | 'memoryMib' | 'diskGib'>,
): { cpus: number; memoryMib: number; diskGib: number } {
  const { cpus, memoryMib, diskGib } = settings;
  const least = (has: number, by: number | null, needs: number, most: number) =>
    by === null ? Math.min(Math.max(has, Math.ceil(needs)), Math.max(has, most)) : has;
  return {
    cpus: least(cpus, asked.cpus, required?.cpus ?? 0, Math.min(limits.cpusMax, availableParallelism())),
    memoryMib: least(
      memoryMib,
      asked.memoryMib,
      (required?.memoryBytes ?? 0) / 1024 ** 2,
      limits.memoryMaxMib,
    ),
    diskGib: least(diskGib, asked.diskGib, (required?.storageBytes ?? 0) / 1024 ** 3, limits.diskMaxGib),
  };
}

function check(flag: string, value: number, least: number, most: number, unit: string): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  throw new WarrenError({
    code: 'usage.size',
    message: `cannot use ${flag} ${value}: it must be a whole number from ${least} to ${most}${unit}`,
    remedy: `leave ${flag} out for the default`,
  });
}

/** Nothing when the file is not there. Throws `usage.settings`. */
export async function readSettings(file: string): Promise<FileSettings> {
  let text: string;
  try {
    text = (await readLimited(file, FILE_MAX_BYTES)).toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new WarrenError({
      code: 'usage.settings',
      message: `cannot read ${file}: ${(error as Error).message}`,
      remedy: 'put a file of settings there, or move it away: until then it lets nothing out',
    });
  }
  return parseSettings(text, file);
}

/** Throws `usage.settings`, which names the file and the line. */
export function parseSettings(text: string, file: string): FileSettings {
  const objection = syntaxObjection(text);
  if (objection)
    throw new WarrenError({
      code: 'usage.settings',
      message: `cannot read ${file}: ${objection}`,
      remedy: 'correct that line, or move the file away: until then it lets nothing out',
    });
  const value: unknown = parse(text, [], { allowTrailingComma: true });
  const parsed = v.safeParse(fileSchema, value);
  if (parsed.success) return parsed.output;
  const { place, why } = shapeObjection(fileSchema, parsed.issues[0]);
  throw new WarrenError({
    code: 'usage.settings',
    message: `cannot use ${file}: ${place === '' ? '' : `${place}: `}${why}`,
    remedy: 'correct it there, or take it away: until then it lets nothing out',
  });
}
