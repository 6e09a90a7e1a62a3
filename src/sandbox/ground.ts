// What a sandbox is restored from: the image of its environment, that image booted and frozen, and where the
// repository asks for it, that again with the repository prepared in it. Each is found, or made once.

import { stat } from 'node:fs/promises';
import { imageFiles } from '../host/layout.ts';
import type { Image, ImageSettings } from '../image/index.ts';
import type { Accelerator } from '../machine/driver.ts';
import type { Template } from '../machine/template.ts';
import type { LayerView, NetworkMode } from '../protocol/api.ts';
import type { BuildWish } from '../protocol/build.ts';
import type { Repository } from '../repo/index.ts';
import type { Conductor } from './conductor.ts';
import { aroundOf } from './devcontainer/find.ts';
import { type DevcontainerPlan, planDevcontainer } from './devcontainer/plan.ts';
import type { FoundEnvironment } from './find-environment.ts';
import type { Wanted } from './images.ts';
import { GUEST_FOLDER } from './naming.ts';
import { joined, type Preparation, type Prepared, preparationOf, preparedOf } from './prepare/preparation.ts';
import type { OnProgress } from './rooms.ts';
import { type Settings, withRequirements } from './settings.ts';
import type { Size } from './templates.ts';

export interface Ground {
  template: Template;
  accelerator: Accelerator;
  imageId: string;
  /** What the template holds of the repository. */
  prepared?: Prepared | undefined;
  layers: LayerView[];
  size: Size;
  user: string;
  workdir: string;
  guestPath: string | null;
  /** Of a devcontainer.json; null: there is none. */
  plan: DevcontainerPlan | null;
}

export interface GroundRequest {
  found: FoundEnvironment;
  settings: Settings;
  /** What was asked for by hand, which a file cannot raise. */
  asked: { cpus: number | null; memoryMib: number | null; diskGib: number | null };
  build: BuildWish | null;
  /** Tags are looked up again. */
  fresh?: boolean;
  /** false: nothing is prepared. */
  prepare: boolean;
  repository: Repository | null;
  /** Profiles of the door that fit. */
  profiles: string[];
  /** What a person chose for the sandbox. */
  network: NetworkMode | null;
}

export async function ensureGround(
  conductor: Conductor,
  request: GroundRequest,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<Ground> {
  // Together, so that what one part finds or makes is not pruned before the next one needs it.
  return await conductor.templates.images.counted(makeGround(conductor, request, onProgress, signal));
}

async function makeGround(
  conductor: Conductor,
  request: GroundRequest,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<Ground> {
  const { found, settings, build, fresh = false, repository } = request;
  const { carry } = settings;
  const startedMs = Date.now();
  const { templates } = conductor;
  const wanted = { environment: found.environment, repository, carry, build, fresh };
  const plain = await templates.images.ensure(wanted, onProgress, signal);
  const image = await withFeatures(conductor, plain, { ...wanted, found }, onProgress, signal);
  const plan = planOf(found, image.config, repository);
  const size = withRequirements(settings, plan?.requirements ?? null, request.asked);
  const base = await templates.ensure(image, size, onProgress, signal);
  const wasThere = (template: Template) => Date.parse(template.record.createdAt) < startedMs;
  const layers: LayerView[] = [
    { kind: 'image', id: image.id, reused: await isOlder(imageFiles(image.folder).record, startedMs) },
    { kind: 'template', id: base.template.id, reused: wasThere(base.template) },
  ];
  const guestPath = plan?.guestPath ?? (repository && `${GUEST_FOLDER}/${repository.name}`);
  const user = plan?.user ?? image.config.user;
  const workdir = plan?.workdir ?? guestPath ?? image.config.workdir;
  const ground = { ...base, imageId: image.id, layers, size, user, workdir, guestPath, plan };
  const preparation = request.prepare ? preparationFor(plan, settings) : null;
  if (!repository || !preparation || guestPath === null) return ground;
  const { prepare } = await import('./prepare/prepare.ts');
  const { profiles, network } = request;
  const template = await prepare(
    conductor,
    base,
    { preparation, repository, carry, guestPath, workdir, user, profiles, network },
    onProgress,
    signal,
  );
  const prepared = preparedOf(template.record);
  const at = prepared?.repositories[0]?.head ?? null;
  layers.push({ kind: 'prepared', id: template.id, reused: wasThere(template), at });
  return { ...ground, template, prepared };
}

/** The features of a devcontainer.json, on top. */
async function withFeatures(
  conductor: Conductor,
  base: Image,
  { found, repository, carry, fresh }: Wanted & { found: FoundEnvironment; repository: Repository | null },
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<Image> {
  const { devcontainer } = found;
  const { features = {} } = devcontainer?.file ?? {};
  if (!devcontainer || !repository || Object.keys(features).length === 0) return base;
  const { stageFeatures } = await import('../image/features/stage-features.ts');
  const { overrideFeatureInstallOrder, remoteUser, containerUser } = devcontainer.file;
  const { images } = conductor.templates;
  const environment = await stageFeatures({
    ...{ base, fresh: fresh === true, signal, onProgress },
    store: conductor.rooms.store,
    file: devcontainer.path,
    root: repository.root,
    config: {
      features,
      ...(overrideFeatureInstallOrder && { overrideFeatureInstallOrder }),
      ...(remoteUser && { remoteUser }),
      ...(containerUser && { containerUser }),
    },
  });
  return await images.ensure({ environment, repository, carry: carry ?? [] }, onProgress, signal);
}

function planOf(
  { devcontainer }: FoundEnvironment,
  image: ImageSettings,
  repository: Repository | null,
): DevcontainerPlan | null {
  return devcontainer && repository && planDevcontainer(devcontainer, image, aroundOf(repository));
}

function preparationFor(plan: DevcontainerPlan | null, { prepare }: Settings): Preparation | null {
  return joined(plan?.preparation ?? null, prepare === null ? null : preparationOf(prepare));
}

async function isOlder(file: string, atMs: number): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  return found !== undefined && found.mtimeMs < atMs;
}
