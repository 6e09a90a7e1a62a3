// Flags of commands that may have to build their environment first. Values of secrets are read here, where the user's
// variables and working directory are, and go to the daemon over its own socket.

import { readFileSync, type Stats, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { BuildWish, Engine } from '../protocol/build.ts';
import { WarrenError } from '../protocol/error.ts';
import { collect } from './declare.ts';

export interface BuildFlags {
  buildArg?: string[];
  target?: string;
  buildContext?: string[];
  secret?: string[];
  ssh?: string[];
  /** false: `--no-cache`. */
  cache?: boolean;
  progress?: 'auto' | 'plain';
  builder?: Engine;
  debug?: boolean;
}

const SECRET_MAX_BYTES = 500 * 1024;

export function withBuildFlags(command: Command): Command {
  return command
    .option('--build-arg <key=value>', 'a build argument of the Dockerfile (repeatable)', collect, [])
    .option('--target <stage>', 'build this stage of the Dockerfile')
    .option(
      '--build-context <name=folder>',
      'a further context, or docker-image://… (repeatable)',
      collect,
      [],
    )
    .option(
      '--secret <id=…,src=…>',
      'a secret for RUN --mount=type=secret: src=FILE or env=NAME (repeatable)',
      collect,
      [],
    )
    .option(
      '--ssh <id[=socket]>',
      'an SSH agent for RUN --mount=type=ssh: `default` is that of SSH_AUTH_SOCK (repeatable)',
      collect,
      [],
    )
    .option('--no-cache', 'run every step of the Dockerfile')
    .option('--debug', 'open a shell where a RUN of the Dockerfile fails')
    .addOption(
      new Option('--builder <engine>', 'build with an engine of yours, on this computer').choices([
        'docker',
        'podman',
        'buildah',
      ]),
    )
    .addOption(new Option('--progress <how>', 'what is shown of builds').choices(['auto', 'plain']));
}

/** null: nothing was said. */
export function buildWish(flags: BuildFlags): BuildWish | null {
  const {
    buildArg = [],
    target,
    buildContext = [],
    secret = [],
    ssh = [],
    cache = true,
    builder,
    debug = false,
  } = flags;
  if (debug) checkDebug(builder);
  if (
    buildArg.length + buildContext.length + secret.length + ssh.length === 0 &&
    target === undefined &&
    cache &&
    !builder &&
    !debug
  )
    return null;
  return {
    builder: builder ?? null,
    args: Object.fromEntries(buildArg.map(argument)),
    target: target ?? null,
    contexts: Object.fromEntries(buildContext.map(contextOf)),
    secrets: Object.fromEntries(secret.map(secretOf)),
    ssh: agentsOf(ssh),
    noCache: !cache,
    debug,
  };
}

function checkDebug(builder: Engine | undefined): void {
  if (builder !== undefined)
    throw wrong(
      `--debug with --builder ${builder}: steps run in no machine of ours`,
      'leave one of them out',
    );
  if (!process.stdin.isTTY || !process.stdout.isTTY)
    throw new WarrenError({
      code: 'usage.no-terminal',
      message: 'cannot use --debug: this is not a terminal',
      remedy: 'leave --debug out: the last lines of a step that fails are told anyway',
    });
}

/** As container engines have it: a name alone takes its value from the environment. */
function argument(text: string): [string, string] {
  const [name, value] = cut(text, '=');
  if (name === '') throw wrong(`--build-arg ${text}: it has no name`, '--build-arg VERSION=1.2');
  return [name, value ?? process.env[name] ?? ''];
}

function contextOf(text: string): [string, string] {
  const [name, value] = cut(text, '=');
  if (name === '' || !value)
    throw wrong(`--build-context ${text}: it is not NAME=FOLDER`, '--build-context lib=../lib');
  return [name, value.startsWith('docker-image://') ? value : resolve(value)];
}

function secretOf(text: string): [string, string] {
  const parts = new Map(text.split(',').map((part) => cut(part, '=')));
  const id = parts.get('id');
  const file = parts.get('src') ?? parts.get('source');
  const variable = parts.get('env') ?? (file === undefined ? id : undefined);
  for (const key of parts.keys())
    if (!['id', 'src', 'source', 'env', 'type'].includes(key))
      throw wrong(`--secret ${text}: there is no key "${key}"`, '--secret id=token,src=./token.txt');
  if (!id) throw wrong(`--secret ${text}: it has no id`, '--secret id=token,src=./token.txt');
  const value = file === undefined ? fromVariable(id, variable!) : fromFile(id, file);
  if (value.length > SECRET_MAX_BYTES)
    throw wrong(
      `--secret id=${id}: it has more than ${SECRET_MAX_BYTES} bytes`,
      '--secret id=token,src=./token.txt',
    );
  return [id, value.toString('base64')];
}

function fromVariable(id: string, name: string): Buffer {
  const value = process.env[name];
  if (value !== undefined) return Buffer.from(value);
  throw wrong(`--secret id=${id}: the variable ${name} is not set`, `--secret id=${id},src=FILE`);
}

function fromFile(id: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw wrong(`--secret id=${id}: ${(error as Error).message}`, `--secret id=${id},src=FILE`);
  }
}

/** As `docker buildx build --ssh` has it, without its key files. */
function agentsOf(texts: readonly string[]): Record<string, string> {
  const agents = new Map<string, string>();
  for (const text of texts) {
    const [id, said] = cut(text, '=');
    if (id === '') throw wrong(`--ssh ${text}: it has no id`, '--ssh default');
    if (agents.has(id)) throw wrong(`--ssh ${text}: there is another "${id}"`, 'give each an id of its own');
    agents.set(id, agentSocket(text, id, said || process.env['SSH_AUTH_SOCK']));
  }
  return Object.fromEntries(agents);
}

function agentSocket(text: string, id: string, path: string | undefined): string {
  if (!path)
    throw wrong(
      `--ssh ${text}: SSH_AUTH_SOCK is not set`,
      `start an agent and give it the key: eval "$(ssh-agent)" && ssh-add; or --ssh ${id}=SOCKET`,
    );
  let found: Stats;
  try {
    found = statSync(path);
  } catch (error) {
    throw wrong(
      `--ssh ${text}: ${(error as Error).message}`,
      'start an agent: eval "$(ssh-agent)" && ssh-add',
    );
  }
  if (!found.isSocket())
    throw wrong(
      `--ssh ${text}: ${path} is no socket of an SSH agent, and keys themselves are not passed on`,
      `give the key to an agent: ssh-add ${path}, then --ssh ${id}`,
    );
  return resolve(path);
}

function cut(text: string, at: string): [string, string | undefined] {
  const place = text.indexOf(at);
  return place < 0 ? [text, undefined] : [text.slice(0, place), text.slice(place + 1)];
}

function wrong(message: string, remedy: string): WarrenError {
  return new WarrenError({ code: 'usage.build', message: `cannot use ${message}`, remedy });
}
