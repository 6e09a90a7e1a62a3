// `up`, the first walk: repo → environment → image → template → machine → agent. Until the record says
// `running`, whatever fails or is cancelled takes everything that was made with it.

import type { UpRequest, UpResult } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import type { ForwardView } from '../protocol/forwards.ts';
import type { Bind } from '../protocol/up.ts';
import { openRepository, type Repository } from '../repo/index.ts';
import { admit } from './admission.ts';
import { type CarryPlan, carryIn, prepareCarry } from './carry-in.ts';
import type { Conductor } from './conductor.ts';
import { create, discard } from './create.ts';
import { copyBinds } from './devcontainer/binds.ts';
import { checkInitialize } from './devcontainer/consent.ts';
import type { DevcontainerPlan } from './devcontainer/plan.ts';
import { beginLifecycle } from './devcontainer/run-lifecycle.ts';
import { findEnvironment } from './find-environment.ts';
import { ensureGround, type Ground } from './ground.ts';
import { startMachine } from './machines.ts';
import { findExisting, freeName } from './naming.ts';
import { keepWhatNeedsNoTrust, networkView, planNetwork } from './network/plan.ts';
import { viewOf } from './record.ts';
import type { OnProgress } from './rooms.ts';
import type { Sandbox } from './sandboxes.ts';
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
  const found = await findEnvironment(repository, request);
  const { from, devcontainer } = found;
  const { layout } = conductor.rooms;
  const binds =
    repository && devcontainer
      ? await checkInitialize(layout, repository, devcontainer, request.initialized)
      : [];
  if (from !== null && from !== '--env') onProgress({ step: `the environment is ${from}'s` });
  const network = await planNetwork(layout, repository, request.network);
  if (repository)
    await conductor.exclusively(`policy ${repository.root}`, () =>
      keepWhatNeedsNoTrust(layout, repository, network),
    );
  const asked = { cpus: settings.cpus, memoryMib: settings.memoryMib, diskGib: settings.diskGib };
  admit(conductor, asked);
  const name = freeName(conductor, request, repository);
  const sandbox = await timed(timings, 'prepareMs', () =>
    create(conductor, { name, repository, size: asked, network }),
  );
  let carrying: Promise<CarryPlan> | null = null;
  try {
    const { cpus, memoryMib, diskGib, build, prepare } = request;
    const ground = await timed(timings, 'templateMs', () =>
      ensureGround(
        conductor,
        {
          ...{ found, settings, build, prepare, repository },
          asked: { cpus, memoryMib, diskGib },
          profiles: network.fitting ?? [],
          network: request.network,
        },
        onProgress,
        signal,
      ),
    );
    const { template, accelerator, prepared, plan: environment } = ground;
    signal.throwIfAborted();
    await settle(conductor, sandbox, ground);
    const { carry } = settings;
    carrying = repository
      ? prepareCarry(conductor, sandbox, { repository, carry, prepared }, onProgress, signal)
      : null;
    carrying?.catch(() => {});
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
      image: ground.imageId,
      template: template.id,
    });
    const ports = environment?.forwardPorts ?? [];
    const forwards = await conductor.forwards.ensureForwards(sandbox.record, ports);
    // What the environment starts goes on in a prepared machine.
    const uncopied = await copyBinds(await sandbox.machine!.link(), binds, sandbox.record.user, signal);
    const begin = { made: true, booted: !prepared };
    await timed(timings, 'lifecycleMs', () => beginLifecycle(conductor, sandbox, begin, onProgress, signal));
    const [view, notices] = await Promise.all([networkView(conductor, sandbox), noticesOf(conductor)]);
    // The last look: nobody would be told of it.
    signal.throwIfAborted();
    return {
      sandbox: viewOf(sandbox.record),
      created: true,
      withheld: plan?.withheld ?? null,
      network: view,
      notices: [
        ...notices,
        ...noticesFor(environment, binds),
        ...uncopied,
        ...forwards.map(forwardNotice),
        ...setupNotices(sandbox),
      ],
      layers: ground.layers,
      timings,
    };
  } catch (error) {
    await discard(conductor, sandbox, carrying?.then((plan) => plan.dispose()) ?? null);
    if (signal.aborted)
      throw new WarrenError({ code: 'usage.cancelled', message: 'cancelled' }, { cause: error });
    throw error;
  }
}

/** What is known now of where the sandbox will be. */
async function settle(conductor: Conductor, sandbox: Sandbox, ground: Ground): Promise<void> {
  const { template, accelerator, imageId, size, user, workdir, guestPath, plan } = ground;
  const { record } = sandbox;
  if (size.memoryMib > record.memoryMib)
    admit(conductor, { ...size, memoryMib: size.memoryMib - record.memoryMib });
  await conductor.update(sandbox, {
    ...size,
    template: template.id,
    image: imageId,
    accelerator: accelerator.kind,
    user,
    workdir,
    ...(record.repository && guestPath !== null && { repository: { ...record.repository, guestPath } }),
    ...(plan && { env: plan.env, lifecycle: plan.lifecycle }),
  });
  // From now on nobody prunes it; somebody may have in the moment before.
  await conductor.templates.get(template.id);
}

/** What was copied in after all is no news. */
function noticesFor(plan: DevcontainerPlan | null, binds: readonly Bind[]): string[] {
  const copied = new Set(binds.map(({ target }) => target));
  const left = plan?.binds.filter(({ target }) => !copied.has(target)) ?? [];
  return [
    ...(plan?.notices ?? []),
    ...left.map(
      ({ source, target }) =>
        `mounts: ${source} of this computer is not in the machine at ${target}: warren cp ${source} NAME:${target}`,
    ),
  ];
}

function forwardNotice({ port, hostPort }: ForwardView): string {
  return `port ${port} of it is port ${hostPort} of this computer`;
}

function setupNotices({ record }: Sandbox): string[] {
  const { setup, name } = record;
  if (setup?.state === 'failed')
    return [`${setup.step} failed: ${setup.why} (warren logs ${name} --lifecycle)`];
  return setup?.state === 'running' ? [`${setup.step} goes on: warren logs ${name} --lifecycle`] : [];
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
