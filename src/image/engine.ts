// The user's own engine as a builder: it builds on this computer's kernel, by its own rules, and the image that it made is
// taken as any saved one. For Dockerfiles that the builder machine does not understand, and only when the user says so.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DockerfileEnvironment } from '../environment/index.ts';
import { run } from '../host/run.ts';
import type { Progress } from '../protocol/api.ts';
import type { BuildWish, Engine } from '../protocol/build.ts';
import { WarrenError } from '../protocol/error.ts';
import { sanitizeLine } from '../protocol/sanitize.ts';
import type { Image } from './image.ts';
import { openLocal } from './local.ts';
import { ensureParts, nameImage } from './oci-image.ts';

export interface EngineBuild {
  store: string;
  engine: Engine;
  environment: DockerfileEnvironment;
  build: BuildWish;
  /** Base images are looked up again. */
  fresh: boolean;
  /** An empty folder of this build's own. */
  scratchFolder: string;
  signal: AbortSignal;
  onProgress: (progress: Progress) => void;
}

/** What engines look for in their environment. */
const PASSED_ON =
  /^(?:PATH|HOME|USER|TMPDIR|XDG_.*|DOCKER_.*|BUILDKIT_.*|BUILDAH_.*|CONTAINERS?_.*|REGISTRY_AUTH_FILE|REGISTRIES_.*|STORAGE_.*|HTTPS?_PROXY|NO_PROXY|https?_proxy|no_proxy)$/;

/** Throws `build.engine-failed`. */
export async function buildWithEngine(request: EngineBuild): Promise<Image> {
  const { engine, scratchFolder, build, onProgress } = request;
  await mkdir(scratchFolder, { recursive: true, mode: 0o700 });
  const secrets = new Map<string, string>();
  for (const [nr, [id, value]] of Object.entries(build.secrets).entries()) {
    const file = join(scratchFolder, `secret-${nr}`);
    await writeFile(file, Buffer.from(value, 'base64'), { mode: 0o600 });
    secrets.set(id, file);
  }
  const idFile = join(scratchFolder, 'image-id');
  onProgress({ step: `${engine} builds, on this computer's own kernel` });
  await runEngine(request, planBuild(request, secrets, idFile));
  const id = (await readFile(idFile, 'utf8')).trim();
  if (!/^(?:sha256:)?[0-9a-f]{64}$/.test(id)) throw failed(engine, 'it named no image');
  const parts = await ensureParts(
    `an image of ${engine}`,
    id,
    async () => {
      const archive = join(scratchFolder, 'image.tar');
      onProgress({ step: `taking the image from ${engine}` });
      await runEngine(request, planSave(engine, id, archive));
      return await openLocal(archive);
    },
    request,
  );
  return await nameImage(parts, request);
}

/** Pure. */
export function planBuild(
  { engine, environment, build, fresh }: Pick<EngineBuild, 'engine' | 'environment' | 'build' | 'fresh'>,
  secrets: ReadonlyMap<string, string>,
  idFile: string,
): string[] {
  const target = build.target ?? environment.target;
  const args = { ...environment.args, ...build.args };
  const contexts = { ...environment.contexts, ...build.contexts };
  return [
    'build',
    // Docker keeps what steps gave by itself.
    ...(engine === 'docker' ? ['--progress', 'plain'] : ['--layers']),
    ...['--iidfile', idFile, '--file', environment.file],
    ...(target === null ? [] : ['--target', target]),
    ...Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
    ...Object.entries(contexts).flatMap(([name, value]) => ['--build-context', `${name}=${value}`]),
    ...[...secrets].flatMap(([id, file]) => ['--secret', `id=${id},src=${file}`]),
    ...Object.entries(build.ssh).flatMap(([id, socket]) => ['--ssh', `${id}=${socket}`]),
    ...(build.noCache ? ['--no-cache'] : []),
    ...(fresh ? ['--pull'] : []),
    environment.context,
  ];
}

/** Pure. */
export function planSave(engine: Engine, id: string, archive: string): string[] {
  if (engine === 'docker') return ['save', '--output', archive, id];
  if (engine === 'podman') return ['save', '--quiet', '--format', 'docker-archive', '--output', archive, id];
  return ['push', '--quiet', id, `docker-archive:${archive}`];
}

async function runEngine({ engine, signal, onProgress }: EngineBuild, args: string[]): Promise<void> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => PASSED_ON.test(name)));
  let partial = '';
  const onStderr = (chunk: string) => {
    const lines = (partial + chunk).split('\n');
    partial = lines.pop()!.slice(-4000);
    for (const line of lines)
      if (line.trim() !== '') onProgress({ step: engine, log: sanitizeLine(line, 2000) });
  };
  try {
    await run(engine, args, { env, signal, onStderr });
  } catch (cause) {
    const error = WarrenError.from(cause);
    if (error.code === 'usage.cancelled') throw error;
    const why = error.code === 'host.command-missing' ? 'it is not installed' : error.message;
    throw failed(engine, sanitizeText(why), cause);
  }
}

function sanitizeText(text: string): string {
  return text
    .split('\n')
    .map((line) => sanitizeLine(line, 2000))
    .join('\n  ');
}

function failed(engine: Engine, why: string, cause?: unknown): WarrenError {
  return new WarrenError(
    {
      code: 'build.engine-failed',
      message: `cannot build with ${engine}: ${why}`,
      remedy: `try it by itself: ${engine} build .; or leave --builder out`,
    },
    { cause },
  );
}
