// The stages of a build with all that is known of them before anything runs: the configuration that each ends with, the
// key of each step, and which steps have a result in the store.

import {
  type CopyStep,
  compilePatterns,
  type ImageConfig,
  imageBase,
  type PlannedStage,
  planSteps,
  type Source,
  type StageBase,
  type StagePlan,
  type Step,
  scratchBase,
  sourceKey,
  sourcesOf,
} from '../../environment/dockerfile/index.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { StoredLayer } from '../layer.ts';
import type { BuildContext } from './context.ts';
import { baseKey, stepKey } from './keys.ts';
import type { Picked } from './pick.ts';
import type { Sources } from './sources.ts';
import { findStep, type StepFolders } from './step-store.ts';

export interface StageState {
  planned: PlannedStage;
  plan: StageBase;
  steps: KeyedStep[];
  config: ImageConfig;
  /** What it stands on: layers, or another stage. */
  on: { layers: StoredLayer[] } | { stage: number };
  /** Of the whole stage. */
  key: string;
  /** So many of its steps have a result. */
  known: number;
}

export interface KeyedStep {
  step: Step;
  key: string;
  /** undefined: it has to run; null: it changed nothing. */
  layer: StoredLayer | null | undefined;
  /** Of a COPY from a context: what its sources name. */
  picked: { context: BuildContext; picked: Picked[] } | undefined;
}

export type Stages = ReadonlyMap<number, StageState>;

/** `useKnown`: false with `--no-cache`. */
export async function prepareStages(
  plan: StagePlan,
  sources: Sources,
  folders: StepFolders,
  useKnown: boolean,
): Promise<Stages> {
  const stages = new Map<number, StageState>();
  for (const planned of plan.stages)
    stages.set(planned.index, await prepareStage(plan, planned, stages, sources, folders, useKnown));
  return stages;
}

async function prepareStage(
  plan: StagePlan,
  planned: PlannedStage,
  stages: Map<number, StageState>,
  sources: Sources,
  folders: StepFolders,
  useKnown: boolean,
): Promise<StageState> {
  const { base, on, key: parent } = await standOn(planned.base, stages, sources);
  const { steps, config, scope, uses } = planSteps(plan, planned, base);
  for (const use of uses)
    if (use.kind === 'stage' && !stages.has(use.index)) {
      const needed = plan.all[use.index]!;
      stages.set(use.index, await prepareStage(plan, needed, stages, sources, folders, useKnown));
    }
  const keyed: KeyedStep[] = [];
  let key = parent;
  let known = 0;
  for (const step of steps) {
    const picked = step.kind === 'copy' ? await pickSources(step, sources, plan.file) : undefined;
    const keys = await Promise.all(
      sourcesOf(step).map((source) => sourceContentKey(source, step, picked, stages, sources)),
    );
    key = stepKey(key, step.cacheText, keys);
    const isNext = useKnown && known === keyed.length;
    const found = isNext ? await findStep(key, folders) : undefined;
    if (found) known++;
    keyed.push({ step, key, layer: found?.layer, picked });
  }
  return { planned, plan: { config, scope }, steps: keyed, config, on, key, known };
}

async function standOn(
  base: Source,
  stages: Stages,
  sources: Sources,
): Promise<{ base: StageBase; on: StageState['on']; key: string }> {
  if (base.kind === 'stage') {
    const below = stages.get(base.index)!;
    return { base: below.plan, on: { stage: base.index }, key: below.key };
  }
  if (base.kind === 'scratch') return { base: scratchBase(), on: { layers: [] }, key: baseKey([]) };
  const image = base.kind === 'image' ? sources.image(base) : sources.imageOf(base);
  if (!image)
    throw new WarrenError({
      code: 'environment.context',
      message: `cannot build on the folder of build context ${JSON.stringify(base.kind === 'context' ? base.name : '')}: FROM needs an image`,
      remedy: 'name one: --build-context NAME=docker-image://REFERENCE; or use FROM scratch and COPY --from',
    });
  const { layers, config, key } = await image;
  return { base: imageBase(config), on: { layers }, key };
}

async function pickSources(step: CopyStep, sources: Sources, file: string): Promise<KeyedStep['picked']> {
  if (step.from.kind !== 'context' || sources.imageOf(step.from)) return undefined;
  const context = await sources.folder(step.from);
  const excluded = compilePatterns(step.excludes);
  const { picked, missing } = await context.select(step.sources, {
    parents: step.parents,
    isExcluded: (at) => excluded.ignores(at),
  });
  if (missing.length > 0)
    throw new WarrenError({
      code: 'environment.dockerfile',
      message: `${file}:${step.line}: ${missing.map((path) => JSON.stringify(path)).join(', ')}: not in the build context ${context.folder}`,
      remedy: 'COPY takes files of the context that .dockerignore does not leave out',
      details: { file, line: step.line },
    });
  return { context, picked };
}

async function sourceContentKey(
  source: Source,
  step: Step,
  picked: KeyedStep['picked'],
  stages: Stages,
  sources: Sources,
): Promise<string> {
  if (source.kind === 'scratch') return 'scratch';
  if (source.kind === 'stage') return stages.get(source.index)!.key;
  if (source.kind === 'image') return (await sources.image(source)).key;
  const image = sources.imageOf(source);
  if (image) return (await image).key;
  if (picked) return await picked.context.digest(picked.picked);
  // A mount: what it shows is part of what decides.
  const context = await sources.folder(source);
  const mounts = step.kind === 'run' ? step.mounts : [];
  const shown = mounts.flatMap((mount) =>
    mount.kind === 'bind' && sourceKey(mount.from) === sourceKey(source) ? [mount.source] : [],
  );
  const { picked: all } = await context.select(
    shown.map((path) => ({ path, pivot: '/', required: true })),
    { parents: false, isExcluded: () => false },
  );
  return await context.digest(all);
}

/** What a stage holds after its first `count` steps; the stage below must be known. */
export function layersOf(stages: Stages, index: number, count?: number): StoredLayer[] {
  const stage = stages.get(index)!;
  const below = 'layers' in stage.on ? stage.on.layers : layersOf(stages, stage.on.stage);
  const own = stage.steps.slice(0, count ?? stage.steps.length);
  return [...below, ...own.flatMap(({ layer }) => (layer ? [layer] : []))];
}
