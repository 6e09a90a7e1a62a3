// Which stages are needed, in which order; circles are refused.

import { dockerfileError } from './problem.ts';
import type { PlannedStage, StagePlan } from './stage-plan.ts';

/** The stage of this index and those that it needs, in the order to build them. */
export function stagesFor({ all, file }: Pick<StagePlan, 'all' | 'file'>, index: number): PlannedStage[] {
  const needed = new Set<number>();
  const pending = [index];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (needed.has(next)) continue;
    needed.add(next);
    const stage = all[next]!;
    for (const source of [stage.base, ...stage.uses]) {
      if (source.kind !== 'stage') continue;
      if (source.index >= next) throw laterStage(file, all, stage, all[source.index]!);
      pending.push(source.index);
    }
  }
  return [...needed].sort((a, b) => a - b).map((needs) => all[needs]!);
}

/** Throws `environment.dockerfile`. */
export function refuseCircles({ all, file }: Pick<StagePlan, 'all' | 'file'>): void {
  const done = new Set<number>();
  const path: number[] = [];
  const visit = (index: number): void => {
    if (done.has(index)) return;
    const start = path.indexOf(index);
    if (start >= 0)
      throw circle(
        file,
        [...path.slice(start), index].map((at) => all[at]!),
      );
    path.push(index);
    for (const source of all[index]!.uses) if (source.kind === 'stage') visit(source.index);
    path.pop();
    done.add(index);
  };
  for (const { index } of all) visit(index);
}

function circle(file: string, stages: PlannedStage[]) {
  return dockerfileError(
    file,
    stages[0]!.from.position,
    `the stages go round in a circle: ${stages.map(titleOf).join(' needs ')}`,
    { remedy: 'let a stage copy only from stages that stand before it' },
  );
}

function laterStage(file: string, all: PlannedStage[], stage: PlannedStage, needed: PlannedStage) {
  // One that stands on this stage is in a circle with it, which copying alone does not show.
  for (let base = needed.base; base.kind === 'stage'; base = all[base.index]!.base)
    if (base.index === stage.index) return circle(file, [stage, needed, stage]);
  return dockerfileError(
    file,
    stage.from.position,
    `stage ${titleOf(stage)} reads from ${titleOf(needed)}, which stands after it (line ${needed.from.position.line})`,
    { remedy: `move stage ${titleOf(needed)} before line ${stage.from.position.line}` },
  );
}

function titleOf({ name, index }: PlannedStage): string {
  return name ?? `number ${index}`;
}
