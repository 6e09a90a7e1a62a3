// Features of a devcontainer.json by the reference implementation, which resolves, orders and stages them, and writes a
// Dockerfile that installs them. It wants an engine to build that: what it is given only takes the Dockerfile down.

import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { run } from '../../host/run.ts';
import { WarrenError } from '../../protocol/error.ts';
import { sanitize } from '../../protocol/sanitize.ts';
import type { ImageSettings } from '../manifest.ts';
import { guardProgram } from './guard.ts';
import { beyond, type FeatureLimits } from './limits.ts';

const TIMEOUT_MS = 10 * 60_000;
const LOOK_EVERY_MS = 100;
const OUTPUT_MAX_BYTES = 16 * 1024 ** 2;
const SAID_MAX_CHARS = 600;

/** What it asks of an engine, and what it hears. What it stages is gone when it ends, so it is copied. */
const ENGINE = `#!/bin/sh
case "$1 $2" in
  "buildx version") echo "github.com/docker/buildx v0.20.0 warren" ;;
  "version --format") echo "27.0.0" ;;
  "inspect --type") cat "$WARREN_FEATURES/inspect.json" ;;
  "buildx build")
    for word in "$@"; do
      printf '%s\\0' "$word"
      case $word in dev_containers_feature_content_source=*) cp -R "\${word#*=}" "$WARREN_FEATURES/content" || exit 1 ;; esac
    done > "$WARREN_FEATURES/arguments"
    ;;
esac
`;

export interface CliRequest {
  /** A folder with the devcontainer.json at `file` and with its own features. */
  workspace: string;
  file: string;
  base: ImageSettings;
  /** An empty folder; afterwards it has `content` and `arguments`. */
  folder: string;
  limits: FeatureLimits;
  signal: AbortSignal;
}

/** Answers the words that it called its engine with. Throws `environment.features`. */
export async function runCli(request: CliRequest): Promise<string[]> {
  const { workspace, file, base, folder, limits, signal } = request;
  const engine = join(folder, 'engine');
  const temporary = join(folder, 'tmp');
  await mkdir(temporary, { recursive: true, mode: 0o700 });
  await writeFile(engine, ENGINE);
  await chmod(engine, 0o700);
  const guard = join(folder, 'guard.cjs');
  await writeFile(guard, guardProgram(limits.answerBytes));
  await writeFile(join(folder, 'inspect.json'), JSON.stringify([inspectOf(base)]));
  const words = ['build', '--docker-path', engine, '--workspace-folder', workspace, '--config', file];
  // A registry's word alone sends credentials to no other host.
  const more = ['--image-name', 'warren', '--oci-auth-hardening'];
  const own = { HOME: folder, TMPDIR: temporary, WARREN_FEATURES: folder };
  try {
    await within(limits, folder, signal, (either) =>
      run(process.execPath, ['--require', guard, cliProgram(), ...words, ...more], {
        env: { ...passedOn(), ...own },
        timeoutMs: TIMEOUT_MS,
        maxOutputBytes: OUTPUT_MAX_BYTES,
        signal: either,
      }),
    );
    return (await readFile(join(folder, 'arguments'), 'utf8')).split('\0').slice(0, -1);
  } catch (cause) {
    if (signal.aborted) throw new WarrenError({ code: 'usage.cancelled', message: 'cancelled' }, { cause });
    if (cause instanceof TooMuch)
      throw new WarrenError({
        code: 'environment.features',
        message: `cannot use the features of devcontainer.json: ${cause.message}`,
        remedy: 'leave out the one that is so large, and install what it brings in a Dockerfile',
      });
    throw new WarrenError(
      {
        code: 'environment.features',
        message: `cannot resolve the features of devcontainer.json: ${whatItSaid(cause)}`,
        remedy:
          'see whether each feature has its name and version right, and whether its registry can be reached',
      },
      { cause },
    );
  }
}

class TooMuch extends Error {}

/** Ends `work` soon after the folder holds too much; exact once it has ended. Nobody tells of what is written below. */
async function within(
  limits: FeatureLimits,
  folder: string,
  signal: AbortSignal,
  work: (either: AbortSignal) => Promise<unknown>,
): Promise<void> {
  const tooMuch = new AbortController();
  const working = work(AbortSignal.any([signal, tooMuch.signal]));
  const ended = working.then(
    () => true,
    () => true,
  );
  let why: string | null = null;
  for (let isOver = false; !isOver && why === null; why = await beyond(folder, limits))
    isOver = await Promise.race([ended, setTimeout(LOOK_EVERY_MS, false)]);
  if (why !== null) tooMuch.abort();
  await ended;
  if (why !== null) throw new TooMuch(why);
  await working;
}

function cliProgram(): string {
  const require = createRequire(import.meta.url);
  return join(dirname(require.resolve('@devcontainers/cli/package.json')), 'devcontainer.js');
}

/** The way to registries, and nothing else of whoever runs the daemon. */
function passedOn(): NodeJS.ProcessEnv {
  const names = ['PATH', 'HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY', 'https_proxy', 'http_proxy', 'no_proxy'];
  const env: NodeJS.ProcessEnv = {
    DOCKER_CONFIG: process.env['DOCKER_CONFIG'] ?? join(homedir(), '.docker'),
  };
  for (const name of [...names, 'NODE_EXTRA_CA_CERTS']) env[name] = process.env[name];
  return env;
}

function inspectOf({ user, env, metadata }: ImageSettings): object {
  return {
    Id: `sha256:${randomBytes(32).toString('hex')}`,
    Os: 'linux',
    Architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    Config: {
      User: user,
      Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      Labels: metadata === undefined ? {} : { 'devcontainer.metadata': metadata },
      Entrypoint: null,
      Cmd: null,
    },
  };
}

/** Its last line is JSON with a message; before it are lines with times. */
function whatItSaid(cause: unknown): string {
  const { details, message } = WarrenError.from(cause);
  const said = String(details?.['stderr'] ?? '');
  const errors = said
    .split('\n')
    .map((line) => line.replace(/^\[[^\]]*\]\s*/, '').trim())
    .filter((line) => line !== '' && !/^(?:at |@devcontainers|Start:|Stop)/.test(line));
  return sanitize(errors.slice(-4).join('; ') || message).slice(0, SAID_MAX_CHARS);
}
