// Which stages have to run, and which trees the machine must have for it. Pure. A stage runs from its first step without
// a result on; what nothing that runs needs stays as it is.

import { type Source, sourcesOf } from '../../environment/dockerfile/index.ts';
import type { StoredLayer } from '../layer.ts';
import { layersOf, type StageState, type Stages } from './stages.ts';

export interface RunPlan {
  /** In the order in which they run. */
  running: StageState[];
  /** Trees of the machine, by what needs them: `stage 3`, `image …`. Each is a layer of it, in this order. */
  trees: Map<string, StoredLayer[]>;
}

/** What a source is called in `RunPlan.trees`. */
export function treeName(source: Source): string {
  if (source.kind === 'stage') return `stage ${source.index}`;
  if (source.kind === 'image') return `image ${source.text}`;
  return source.kind === 'context' ? `context ${source.name}` : 'scratch';
}

/** `imageLayers`: of an image, or of a context that stands for one; undefined: of a folder. */
export function planRuns(
  stages: Stages,
  target: number,
  imageLayers: (source: Source) => StoredLayer[] | undefined,
): RunPlan {
  const running = new Map<number, StageState>();
  const trees = new Map<string, StoredLayer[]>();
  const visit = (index: number): void => {
    const stage = stages.get(index)!;
    if (isKnown(stages, index) || running.has(index)) return;
    const below = 'stage' in stage.on ? stage.on.stage : undefined;
    if (below !== undefined && !isKnown(stages, below)) visit(below);
    for (const { step } of stage.steps.slice(stage.known))
      for (const source of sourcesOf(step)) {
        if (source.kind === 'scratch') continue;
        if (source.kind === 'stage') {
          if (isKnown(stages, source.index)) trees.set(treeName(source), layersOf(stages, source.index));
          else visit(source.index);
        } else {
          const layers = imageLayers(source);
          if (layers) trees.set(treeName(source), layers);
        }
      }
    if (below === undefined || isKnown(stages, below))
      trees.set(beginningOf(stage), layersOf(stages, index, stage.known));
    running.set(index, stage);
  };
  visit(target);
  return { running: [...running.values()], trees };
}

/** The tree that a stage which runs begins with. */
export function beginningOf({ planned, known }: StageState): string {
  return `stage ${planned.index} after ${known} steps`;
}

/** Every step of it and of what it stands on has a result. */
export function isKnown(stages: Stages, index: number): boolean {
  const stage = stages.get(index)!;
  const below = 'stage' in stage.on ? isKnown(stages, stage.on.stage) : true;
  return below && stage.steps.every(({ layer }) => layer !== undefined);
}
