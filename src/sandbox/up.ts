// `up`, the first walk: repo → environment → image → template → machine → agent. Until the record says
// `running`, whatever fails or is cancelled takes everything that was made with it.

import type { UpRequest, UpResult } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import { openRepository, type Repository } from '../repo/index.ts';
import { admit } from './admission.ts';
import { type CarryPlan, carryIn, prepareCarry } from './carry-in.ts';
import type { Conductor } from './conductor.ts';
import { create, discard } from './create.ts';
import { findEnvironment } from './find-environment.ts';
import { ensureGround } from './ground.ts';
import { startMachine } from './machines.ts';
import { findExisting, freeName } from './naming.ts';
import { networkView, planNetwork } from './network/plan.ts';
import { preparationOf } from './prepare/preparation.ts';
import { viewOf } from './record.ts';
import type { OnProgress } from './rooms.ts';
import { settingsFor } from './settings.ts';

export async function up(
  conductor: Conductor,
  request: UpRequest,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<UpResult> {
  const repository = request.path === null ? null : await openRepository(request.path);
  const make = () => upOnce(conductor, request, repository, onProgress, signal);
  // Two who want the sandbox of one repository get the same.
  return request.fresh || !repository
    ? await make()
    : await conductor.exclusively(`up ${request.name} ${repository.root}`, make);
}

async function upOnce(
  conductor: Conductor,
  request: UpRequest,
  repository: Repository | null,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<UpResult> {
  const timings: Record<string, number> = {};
  const existing = findExisting(conductor, request, repository);
  if (existing)
    return {
      sandbox: viewOf(existing.record),
      created: false,
      withheld: null,
      network: await networkView(conductor, existing),
      notices: [],
      layers: [],
      timings,
    };

  const settings = await settingsFor(repository, request);
  const { environment, from } = await findEnvironment(repository, request);
  if (from !== null && from !== '--env') onProgress({ step: `the environment is ${from}'s` });
  const network = await planNetwork(conductor.rooms.layout, repository, request.network);
  const size = { cpus: settings.cpus, memoryMib: settings.memoryMib, diskGib: settings.diskGib };
  admit(conductor, size);
  const name = freeName(conductor, request, repository);
  const { carry, prepare } = settings;
  const sandbox = await timed(timings, 'prepareMs', () =>
    create(conductor, { name, repository, size, network }),
  );
  let carrying: Promise<CarryPlan> | null = null;
  try {
    const ground = await timed(timings, 'templateMs', () =>
      ensureGround(
        conductor,
        {
          wanted: { environment, repository, carry, build: request.build },
          size,
          preparation: prepare !== null && request.prepare ? preparationOf(prepare) : null,
          repository,
          carry,
          profiles: network.fitting ?? [],
        },
        onProgress,
        signal,
      ),
    );
    const { template, accelerator, imageId, settings: image, prepared } = ground;
    signal.throwIfAborted();
    carrying = repository
      ? prepareCarry(conductor, sandbox, { repository, carry, prepared }, onProgress, signal)
      : null;
    carrying?.catch(() => {});
    await conductor.update(sandbox, {
      template: template.id,
      image: imageId,
      accelerator: accelerator.kind,
      user: image.user,
      workdir: sandbox.record.repository?.guestPath ?? image.workdir,
    });
    const { answeredMs } = await timed(timings, 'restoreMs', () =>
      startMachine(conductor, sandbox, template, accelerator, 'restore'),
    );
    timings['answeredMs'] = answeredMs;
    signal.throwIfAborted();
    const plan = await carrying;
    const verb = prepared ? 'update' : 'clone';
    if (plan)
      await timed(timings, 'repoMs', () => carryIn(conductor, sandbox, plan, verb, onProgress, signal));
    signal.throwIfAborted();
    await conductor.update(sandbox, { state: 'running' }, 'up', {
      timings,
      image: imageId,
      template: template.id,
    });
    return {
      sandbox: viewOf(sandbox.record),
      created: true,
      withheld: plan?.withheld ?? null,
      network: await networkView(conductor, sandbox),
      notices: await noticesOf(conductor),
      layers: ground.layers,
      timings,
    };
  } catch (error) {
    await carrying?.then((plan) => plan.dispose()).catch(() => {});
    await discard(conductor, sandbox);
    if (signal.aborted)
      throw new WarrenError({ code: 'usage.cancelled', message: 'cancelled' }, { cause: error });
    throw error;
  }
}

async function noticesOf(conductor: Conductor): Promise<string[]> {
  const confinement = await conductor.rooms.confinement();
  return confinement.namespaces
    ? []
    : [
        `the VMM runs without namespaces of its own: ${confinement.why ?? 'bwrap does not work here'} (warren doctor)`,
      ];
}

async function timed<T>(timings: Record<string, number>, name: string, work: () => Promise<T>): Promise<T> {
  const startedMs = performance.now();
  try {
    return await work();
  } finally {
    timings[name] = Math.round(performance.now() - startedMs);
  }
}
