// Who the user is at a registry, where Docker, Podman and Skopeo keep it: `auths` and credential helpers in their own
// files. They are read for the one registry that is asked, kept nowhere, and never printed.

import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { run } from '../../host/run.ts';
import { WarrenError } from '../../protocol/error.ts';

export type Credentials = { username: string; password: string } | { identityToken: string };

const HELPER_TIMEOUT_MS = 30_000;
/** Docker's own key for its Hub, from before registries had names. */
const HUB_KEYS = ['https://index.docker.io/v1/', 'index.docker.io', 'docker.io'];
const HELPER_NAME = /^[A-Za-z0-9._-]{1,64}$/;

const fileSchema = v.object({
  auths: v.optional(
    v.record(
      v.string(),
      v.object({
        auth: v.optional(v.string()),
        username: v.optional(v.string()),
        password: v.optional(v.string()),
        identitytoken: v.optional(v.string()),
      }),
    ),
    {},
  ),
  credHelpers: v.optional(v.record(v.string(), v.string()), {}),
  credsStore: v.optional(v.string()),
});

/** In the order in which Podman and Skopeo look, then Docker's. */
export function credentialFiles(env: NodeJS.ProcessEnv = process.env): string[] {
  const home = env['HOME'] || homedir();
  return [
    ...(env['REGISTRY_AUTH_FILE'] ? [env['REGISTRY_AUTH_FILE']] : []),
    ...(env['XDG_RUNTIME_DIR'] ? [join(env['XDG_RUNTIME_DIR'], 'containers/auth.json')] : []),
    join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'containers/auth.json'),
    join(env['DOCKER_CONFIG'] || join(home, '.docker'), 'config.json'),
  ];
}

/** undefined: nobody said. Throws `image.credentials` for a file that cannot be read as one, or a helper that fails. */
export async function findCredentials(
  registry: string,
  repository: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Credentials | undefined> {
  for (const path of credentialFiles(env)) {
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const file = parseFile(text, path);
    const keys = keysFor(registry, repository);
    const helper = keys.map((key) => file.credHelpers[key]).find((name) => name !== undefined);
    const found =
      (helper !== undefined && (await askHelper(helper, registry, env))) ||
      keys.map((key) => fromEntry(file.auths[key])).find((each) => each !== undefined) ||
      (file.credsStore !== undefined && (await askHelper(file.credsStore, registry, env)));
    if (found) return found;
  }
  return undefined;
}

/** Podman's files may name a part of a registry: the longest one decides. */
function keysFor(registry: string, repository: string): string[] {
  const parts = repository.split('/');
  const within = parts.map((_, at) => `${registry}/${parts.slice(0, parts.length - at).join('/')}`);
  const whole =
    registry === 'docker.io'
      ? HUB_KEYS
      : [registry, `https://${registry}`, `https://${registry}/v1/`, `https://${registry}/v2/`];
  return [...within, ...whole];
}

function parseFile(text: string, path: string): v.InferOutput<typeof fileSchema> {
  try {
    return v.parse(fileSchema, JSON.parse(text));
  } catch (cause) {
    // Not the parser's words: they may quote a secret.
    throw new WarrenError(
      { code: 'image.credentials', message: `cannot read ${path}: it is not a file of credentials` },
      { cause },
    );
  }
}

function fromEntry(
  entry: v.InferOutput<typeof fileSchema>['auths'][string] | undefined,
): Credentials | undefined {
  if (entry?.identitytoken) return { identityToken: entry.identitytoken };
  if (entry?.username && entry.password) return { username: entry.username, password: entry.password };
  const decoded = Buffer.from(entry?.auth ?? '', 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  return colon <= 0 ? undefined : { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

/** https://github.com/docker/docker-credential-helpers: the server on stdin, JSON on stdout. */
async function askHelper(
  name: string,
  registry: string,
  env: NodeJS.ProcessEnv,
): Promise<Credentials | undefined> {
  if (!HELPER_NAME.test(name))
    throw new WarrenError({
      code: 'image.credentials',
      message: 'cannot use a credential helper: its name is not one',
    });
  const program = `docker-credential-${name}`;
  const input = registry === 'docker.io' ? HUB_KEYS[0]! : registry;
  const { code, stdout } = await run(program, ['get'], {
    input,
    env: { ...env },
    timeoutMs: HELPER_TIMEOUT_MS,
    maxOutputBytes: 65_536,
    okCodes: [0, 1],
  }).catch((cause: unknown) => {
    throw new WarrenError(
      {
        code: 'image.credentials',
        message: `cannot ask ${program} for credentials of ${registry}: it does not run`,
        remedy: `install ${program}, or take it out of your Docker configuration`,
      },
      { cause },
    );
  });
  // 1: it has none, and says so in words that differ.
  if (code !== 0) return undefined;
  try {
    const { Username, Secret } = v.parse(
      v.object({ Username: v.string(), Secret: v.string() }),
      JSON.parse(stdout.toString()),
    );
    return Username === '<token>' ? { identityToken: Secret } : { username: Username, password: Secret };
  } catch {
    throw new WarrenError({ code: 'image.credentials', message: `cannot read what ${program} answered` });
  }
}
