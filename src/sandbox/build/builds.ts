// Dockerfiles → images, each build once however many ask for it at the same time.

import { mkdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { profilesForCommands } from '../../egress/policy/profiles.ts';
import {
  type BuildOptions,
  dockerfileLimits,
  ignoreFileNames,
  parseDockerfile,
  parseIgnore,
  planStages,
} from '../../environment/dockerfile/index.ts';
import type { DockerfileEnvironment } from '../../environment/index.ts';
import { buildCacheFiles, buildFiles } from '../../host/layout.ts';
import { readLimited } from '../../host/read-limited.ts';
import { buildImage, buildWithEngine, FileDigests, rememberBuild, Sources } from '../../image/build/index.ts';
import { type Image, ownArchitecture } from '../../image/index.ts';
import { sessionHeaders } from '../../machine/builder.ts';
import type { BuildWish } from '../../protocol/build.ts';
import { WarrenError } from '../../protocol/error.ts';
import { isEnvFile } from '../../repo/index.ts';
import type { OnProgress, Rooms } from '../rooms.ts';
import { userSettings } from '../settings.ts';
import { SharedWork } from '../shared-work.ts';
import { type BuilderMachine, newBuildId, openBuilder } from './builder-machine.ts';

export interface WantedBuild {
  environment: DockerfileEnvironment;
  /** Tags are looked up again. */
  fresh?: boolean;
  /** Whose policy holds. */
  repository?: { root: string } | null;
  /** Files that may travel although their names say secret; relative to the repository. */
  carry?: readonly string[];
  build?: BuildWish | null;
}

export class Builds {
  readonly #rooms: Rooms;
  readonly #running = new SharedWork<Image>();

  constructor(rooms: Rooms) {
    this.#rooms = rooms;
  }

  /** Throws `environment.dockerfile`, `build.step-failed` and what belongs to its images. */
  ensure(wanted: WantedBuild, onProgress: OnProgress, signal?: AbortSignal): Promise<Image> {
    const { environment, fresh, build } = wanted;
    const key = JSON.stringify([environment, fresh, build]);
    const make = build?.builder ? this.#withEngine : this.#build;
    return this.#running.do(key, (tell, either) => make.call(this, wanted, tell, either), onProgress, signal);
  }

  async #withEngine(
    { environment, fresh = false, build }: WantedBuild,
    onProgress: OnProgress,
    signal: AbortSignal,
  ): Promise<Image> {
    return await this.#inFolder(async (id) => {
      const { bases: scratchFolder } = buildFiles(this.#rooms.layout, id);
      const image = await buildWithEngine({
        store: this.#rooms.store,
        engine: build!.builder!,
        environment,
        build: build!,
        fresh,
        scratchFolder,
        signal,
        onProgress,
      });
      const { file, context } = environment;
      const meant = { file, context, ...chosenBy(environment, build) };
      await rememberBuild(this.#rooms.storeFolders.references, meant, { image: image.folder, layers: [] });
      return image;
    });
  }

  /** A folder for one build, gone when it ends. */
  async #inFolder<T>(work: (id: string) => Promise<T>): Promise<T> {
    const id = newBuildId();
    const { folder } = buildFiles(this.#rooms.layout, id);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    try {
      return await work(id);
    } finally {
      await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
    }
  }

  async #build(wanted: WantedBuild, onProgress: OnProgress, signal: AbortSignal): Promise<Image> {
    const rooms = this.#rooms;
    const { environment, fresh = false, repository = null, carry = [], build } = wanted;
    const { file, context } = environment;
    const meant = chosenBy(environment, build);
    const contexts = new Map(Object.entries(meant.contexts));
    const options: BuildOptions = {
      target: meant.target,
      buildArgs: new Map(Object.entries(meant.args)),
      contexts: new Set(contexts.keys()),
      platform: `linux/${ownArchitecture()}`,
    };
    const plan = planStages(parseDockerfile(await readDockerfile(file), basename(file)), options);
    for (const name of plan.unusedBuildArgs)
      onProgress({ step: `the build argument ${name} is used by no ARG` });
    const digests = await FileDigests.open(buildCacheFiles(rooms.layout, context).digests);
    const { registries } = await userSettings();
    const carried = new Set(carry.map((path) => join(repository?.root ?? context, path)));
    const sources = new Sources({
      store: rooms.store,
      context,
      rules: await ignoreRules(file, context),
      isWithheld: (path) => isEnvFile(path) && !carried.has(join(context, path)),
      contexts,
      digests,
      plainRegistries: registries?.plainHttp ?? [],
      fresh,
      signal,
      onProgress,
    });
    return await this.#inFolder(async (id) => {
      let machine: BuilderMachine | undefined;
      const { image, withheld, layers } = await buildImage({
        store: rooms.store,
        plan,
        sources,
        secrets: new Map(
          Object.entries(build?.secrets ?? {}).map(([name, value]) => [name, Buffer.from(value, 'base64')]),
        ),
        ssh: new Map(Object.entries(build?.ssh ?? {})),
        useKnown: build?.noCache !== true,
        scratchFolder: buildFiles(rooms.layout, id).bases,
        openWorkshop: async ({ layers, commands, caches, signal: either }) => {
          const profiles = profilesForCommands(commands);
          onProgress({ step: `the network of the build: ${profiles.join(', ') || 'none'}` });
          machine = await openBuilder(rooms, id, {
            context,
            repository,
            profiles,
            layers,
            caches,
            signal: either,
            onProgress: (step) => onProgress({ step }),
          });
          return machine;
        },
        onFailedRun: build?.debug
          ? async ({ stage, command, says }) => {
              const { env, user, workdir, network } = command;
              await rooms.failedSteps.hold(
                id,
                { link: machine!.link, headers: sessionHeaders(stage, network) },
                signal,
                () =>
                  onProgress({
                    step: 'a step has failed',
                    failedStep: { id, says, env, user: user || 'root', workdir },
                  }),
              );
            }
          : undefined,
        signal,
        onProgress,
      });
      await digests.save();
      await rememberBuild(
        rooms.storeFolders.references,
        { file, context, ...meant },
        { image: image.folder, layers },
      );
      if (withheld.length > 0)
        onProgress({
          step: `withheld from the build: ${withheld.slice(0, 5).join(', ')} (to carry one, name it in warren.json: "carry")`,
        });
      return image;
    });
  }
}

/** What flags say wins. */
function chosenBy(environment: DockerfileEnvironment, build: BuildWish | null | undefined) {
  return {
    target: build?.target ?? environment.target,
    args: { ...environment.args, ...build?.args },
    contexts: { ...environment.contexts, ...build?.contexts },
  };
}

async function readDockerfile(file: string): Promise<Buffer> {
  try {
    return await readLimited(file, dockerfileLimits.fileBytes);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new WarrenError(
      {
        code: 'environment.dockerfile',
        message: `cannot read ${file}: ${code === 'ENOENT' ? 'it is not there' : message}`,
        remedy: 'name a Dockerfile: --env ./Dockerfile',
      },
      { cause },
    );
  }
}

/** Beside the Dockerfile, or else in the context; nothing is ignored where neither is. */
async function ignoreRules(file: string, context: string) {
  const names = ignoreFileNames(basename(file));
  for (const path of [join(dirname(file), names.beside), join(context, names.inContext)]) {
    const content = await readLimited(path, dockerfileLimits.ignoreFileBytes).catch(
      ({ code, message }: NodeJS.ErrnoException) => {
        if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
        // Passed over, it would let in what it names.
        throw new WarrenError({ code: 'environment.context', message: `cannot read ${path}: ${message}` });
      },
    );
    if (content) return parseIgnore(content, basename(path));
  }
  return parseIgnore('');
}
