// A Dockerfile → an image. Its stages are planned and keyed first; what has no result runs in a builder machine, step by
// step, each result kept at once. When everything has a result, no machine is started.

import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ImageConfig, Source, StagePlan } from '../../environment/dockerfile/index.ts';
import { storeFolders } from '../../host/layout.ts';
import type { Progress } from '../../protocol/api.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { Image, Layer } from '../image.ts';
import type { StoredLayer } from '../layer.ts';
import { ensureImageOf, writeTree } from '../layered-image.ts';
import { settingsOf } from '../manifest.ts';
import type { Bench, OnFailedRun } from './perform.ts';
import { beginningOf, isKnown, planRuns, type RunPlan, treeName } from './plan-runs.ts';
import { runStep, type StepReport, stageName } from './run-step.ts';
import type { BuildSecrets } from './secrets.ts';
import type { Sources } from './sources.ts';
import type { BuildSsh } from './ssh/plan-sockets.ts';
import { layersOf, prepareStages, type StageState, type Stages } from './stages.ts';
import { StepLog } from './step-log.ts';
import type { OpenWorkshop, Tree, Workshop } from './workshop.ts';

export interface BuildRequest {
  store: string;
  plan: StagePlan;
  sources: Sources;
  secrets: BuildSecrets;
  ssh: BuildSsh;
  /** Results that are there count. */
  useKnown: boolean;
  /** An empty folder of this build's own. */
  scratchFolder: string;
  openWorkshop: OpenWorkshop;
  onFailedRun?: OnFailedRun | undefined;
  signal: AbortSignal;
  onProgress: (progress: Progress) => void;
}

export interface BuildResult {
  image: Image;
  config: ImageConfig;
  steps: StepReport[];
  withheld: string[];
  /** Digests of the layers of all stages, and of what they stand on. */
  layers: string[];
}

/** A machine has about thirty slots for disks; some are taken. */
const DISKS_MAX = 22;

export async function buildImage(request: BuildRequest): Promise<BuildResult> {
  const { store, plan, sources, onProgress } = request;
  const folders = storeFolders(store);
  onProgress({ step: 'reading the Dockerfile' });
  const stages = await prepareStages(plan, sources, folders, request.useKnown);
  const report: StepReport[] = [];
  if (!isKnown(stages, plan.target)) await runAll(stages, request, report);
  else tellKnown(stages.get(plan.target)!, report, onProgress);
  const target = stages.get(plan.target)!;
  const image = await ensureImageOf(
    {
      layers: layersOf(stages, plan.target),
      settings: settingsOf(target.config),
      from: `${plan.file} (${createHash('sha256').update(target.key).digest('hex').slice(0, 12)})`,
    },
    { store, onProgress },
  );
  const layers = [...stages.values()].flatMap(({ on, steps }) => [
    ...('layers' in on ? on.layers : []),
    ...steps.flatMap(({ layer }) => layer ?? []),
  ]);
  return {
    image,
    config: target.config,
    steps: report,
    withheld: await sources.withheld(),
    layers: layers.map(({ diffId }) => diffId),
  };
}

async function runAll(stages: Stages, request: BuildRequest, report: StepReport[]): Promise<void> {
  const { store, plan, sources, secrets, ssh, signal, onProgress, scratchFolder } = request;
  const images = new Map<string, StoredLayer[]>();
  for (const stage of stages.values())
    for (const use of stage.planned.uses)
      if (use.kind === 'image' || use.kind === 'context') {
        const image = use.kind === 'image' ? sources.image(use) : sources.imageOf(use);
        if (image) images.set(treeName(use), (await image).layers);
      }
  const runs = planRuns(stages, plan.target, (source) => images.get(treeName(source)));
  const { layers, numbers } = await makeDisks(runs, scratchFolder, onProgress);
  const todo = runs.running.flatMap((stage) => stage.steps.slice(stage.known).map(({ step }) => step));
  onProgress({ step: 'starting a builder machine' });
  let latest = '';
  const log = await StepLog.open(storeFolders(store).buildLog, secrets, (line) =>
    onProgress({ step: latest, log: line }),
  );
  const workshop = await request.openWorkshop({
    layers,
    commands: todo.flatMap((step) => (step.kind === 'run' ? [step.argv.join(' ')] : [])),
    caches: todo.some((step) => step.kind === 'run' && step.mounts.some(({ kind }) => kind === 'cache')),
    signal,
  });
  try {
    const bench: Bench = {
      workshop,
      sources,
      secrets,
      ssh,
      log,
      scratchFolder,
      treeOf: (source) => treeOf(source, stages, numbers),
      signal,
      sent: new Map(),
      onFailedRun: request.onFailedRun,
    };
    await workshop.builder.putTree('nothing', emptyTar());
    for (const stage of runs.running) {
      tellKnown(stage, report, onProgress);
      await beginStage(workshop, stage, stages, numbers);
      for (const [nr, keyed] of stage.steps.entries()) {
        if (nr < stage.known) continue;
        latest = titleOf(stage, nr);
        onProgress({ step: latest });
        log.begin(latest);
        report.push(await runStep(bench, stage, keyed, store, latest));
      }
    }
  } catch (error) {
    throw (signal.aborted ? undefined : await workshop.broken()) ?? error;
  } finally {
    await log.close();
    await workshop.end();
  }
}

function tellKnown(stage: StageState, report: StepReport[], onProgress: (p: Progress) => void): void {
  for (const [nr, { step, layer }] of stage.steps.entries()) {
    if (nr >= stage.known || layer === undefined) continue;
    onProgress({ step: `${titleOf(stage, nr)} (cached)` });
    report.push({ text: step.text, line: step.line, cached: true, durationMs: 0 });
  }
}

function titleOf({ planned, steps }: StageState, nr: number): string {
  const name = planned.name === null ? '' : `${planned.name} `;
  const [first = ''] = steps[nr]!.step.text.split('\n');
  return `[${name}${nr + 1}/${steps.length}] ${first}`;
}

async function makeDisks(
  { trees }: RunPlan,
  folder: string,
  onProgress: (progress: Progress) => void,
): Promise<{ layers: Layer[]; numbers: Map<string, number> }> {
  const layers: Layer[] = [];
  const numbers = new Map<string, number>();
  const wanted = [...trees].filter(([, tree]) => tree.length > 0);
  const sharedMax = Math.floor(DISKS_MAX / Math.max(1, wanted.length)) - 1;
  if (sharedMax < 0)
    throw new WarrenError({
      code: 'build.too-many-images',
      message: `cannot build from ${wanted.length} images and stages at once: ${DISKS_MAX} at most`,
      remedy: 'copy from fewer images, or let another engine build it: --builder docker',
    });
  if (wanted.length > 0) onProgress({ step: 'merging the layers' });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const [name, tree] of wanted) {
    const path = join(folder, `base-${layers.length}.erofs`);
    const { shared } = await writeTree(path, tree, { sharedMax });
    numbers.set(name, layers.length);
    layers.push([path, ...shared.map(({ file }) => file)]);
  }
  return { layers, numbers };
}

function treeOf(source: Source, stages: Stages, numbers: ReadonlyMap<string, number>): Tree | undefined {
  if (source.kind === 'scratch') return { tree: 'nothing' };
  const number = numbers.get(treeName(source));
  if (number !== undefined) return { layer: number };
  if (source.kind === 'context') return undefined;
  if (source.kind === 'stage' && !isEmpty(stages, source.index)) return { stage: stageName(source.index) };
  return { tree: 'nothing' };
}

/** Known, and there is nothing in it: it is no disk of the machine. */
function isEmpty(stages: Stages, index: number): boolean {
  return isKnown(stages, index) && layersOf(stages, index).length === 0;
}

async function beginStage(
  { builder }: Workshop,
  stage: StageState,
  stages: Stages,
  numbers: ReadonlyMap<string, number>,
): Promise<void> {
  const name = stageName(stage.planned.index);
  const layer = numbers.get(beginningOf(stage));
  if (layer !== undefined) return await builder.beginStage(name, { layer });
  const below = 'stage' in stage.on && !isEmpty(stages, stage.on.stage) ? stage.on.stage : undefined;
  await builder.beginStage(name, below === undefined ? null : { stage: stageName(below) });
}

/** Two blocks of zeros. */
function emptyTar() {
  return Readable.from([Buffer.alloc(1024)], { objectMode: false });
}
