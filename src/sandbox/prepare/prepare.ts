// A template with the repository in it and its dependencies installed: made once, used until a file changes that
// decides what is installed. Sandboxes of it get only the commits that are new since.

import { mkdir, rm } from 'node:fs/promises';
import { buildFiles, projectFiles } from '../../host/layout.ts';
import type { Accelerator } from '../../machine/driver.ts';
import type { Machine } from '../../machine/machine.ts';
import type { Template } from '../../machine/template.ts';
import type { NetworkMode } from '../../protocol/api.ts';
import { WarrenError } from '../../protocol/error.ts';
import { packIn, type Repository, readIdentity, trackedFiles } from '../../repo/index.ts';
import { openBuildDoor } from '../build/build-door.ts';
import { newBuildId } from '../build/builder-machine.ts';
import { sendRepository } from '../carry-in.ts';
import type { Conductor } from '../conductor.ts';
import type { OnProgress } from '../rooms.ts';
import { chooseInputs, digestInputs } from './inputs.ts';
import { type Preparation, type Prepared, preparationDigest } from './preparation.ts';
import { runBoot, runSteps } from './run-steps.ts';

export interface PrepareRequest {
  preparation: Preparation;
  repository: Repository;
  /** Untracked files that travel. */
  carry: string[];
  guestPath: string;
  workdir: string;
  user: string;
  /** Profiles of the door that fit. */
  profiles: string[];
  /** What a person chose for the sandbox; null: as the policy says. What is prepared already stays. */
  network: NetworkMode | null;
}

/** The prepared template, found or made. Throws `prepare.failed`. */
export async function prepare(
  conductor: Conductor,
  base: { template: Template; accelerator: Accelerator },
  request: PrepareRequest,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<Template> {
  const { preparation, repository, carry, guestPath, workdir, user } = request;
  const [tracked, identity] = await Promise.all([
    trackedFiles(repository.root, signal),
    readIdentity(repository.root),
  ]);
  const inputs = chooseInputs(
    tracked,
    preparation.inputs,
    preparation.steps.map(({ title }) => title),
  );
  const digest = preparationDigest(preparation, {
    root: repository.root,
    guestPath,
    workdir,
    user,
    identity,
    carry,
    inputs: await digestInputs(repository.root, inputs),
  });
  const id = newBuildId();
  const { folder } = buildFiles(conductor.rooms.layout, id);
  // There before the machine is: by its name a later daemon finds what this one could not end.
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    return await conductor.templates.derive(
      base,
      {
        id,
        preparation: digest,
        work: async (machine, tell, either) =>
          await work(conductor, machine, { ...request, id, inputs }, tell, either),
      },
      onProgress,
      signal,
    );
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  }
}

async function work(
  conductor: Conductor,
  machine: Machine,
  request: PrepareRequest & { id: string; inputs: string[] },
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<Prepared> {
  const startedMs = performance.now();
  const { rooms } = conductor;
  const { preparation, repository, carry, guestPath, user, profiles, network, id, inputs } = request;
  const files = buildFiles(rooms.layout, id);
  const door = await openBuildDoor(rooms, machine, files.door, { repository, profiles, network });
  try {
    const packed = await packIn(repository, {
      branch: null,
      guestPath,
      carry,
      transferFolder: files.folder,
      signal,
      onProgress,
    });
    try {
      await sendRepository(await machine.link(), packed, { user, verb: 'clone' }, onProgress, signal);
    } finally {
      await packed.dispose();
    }
    const project = projectFiles(rooms.layout, repository.root);
    await mkdir(project.folder, { recursive: true, mode: 0o700 });
    await runPreparation(machine, request, project.prepareLog, door.denied, onProgress, signal);
    return {
      from: preparation.from,
      root: repository.root,
      commands: preparation.steps.map(({ title }) => title.slice(0, 4096)),
      inputs,
      repositories: packed.manifest.repositories.map(({ path, head, shallow }) => ({ path, head, shallow })),
      durationMs: Math.round(performance.now() - startedMs),
    };
  } finally {
    await door.close();
  }
}

async function runPreparation(
  machine: Machine,
  { preparation, workdir, user }: PrepareRequest,
  logFile: string,
  denied: () => Promise<string[]>,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<void> {
  const { boot, steps, env, timeoutMs, from } = preparation;
  const place = { env, logFile, tooLate: AbortSignal.timeout(timeoutMs) };
  const tell: OnProgress = ({ step, ...more }) => onProgress({ step: `preparing: ${step}`, ...more });
  const failed =
    (await runBoot(machine, boot, { ...place, user }, tell, signal)) ??
    (await runSteps(machine, steps, { ...place, user, cwd: workdir, append: true }, tell, signal));
  if (!failed) return;
  const refused = await denied().catch(() => []);
  const why = place.tooLate.aborted ? `it was not done after ${Math.round(timeoutMs / 1000)} s` : failed.why;
  const said = failed.said.length > 0 ? `\n  ${failed.said.join('\n  ')}` : '';
  const kept = refused.length > 0 ? `\n  not let through: ${refused.join('; ')}` : '';
  throw new WarrenError({
    code: 'prepare.failed',
    message: `cannot prepare with ${from}, ${failed.step.title.slice(0, 200)}: ${why}${said}${kept}`,
    remedy:
      refused.length > 0
        ? 'allow what it needs in warren.json: "egress": {"allow": ["HOST"]}; or look into it: warren up --no-prepare'
        : 'look into it in a sandbox: warren up --no-prepare',
    log: logFile,
  });
}
