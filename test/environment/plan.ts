// A Dockerfile, planned whole, as the builder would: every stage on what the one below it left.

import {
  type BuildOptions,
  emptyConfig,
  type ImageConfig,
  imageBase,
  parseDockerfile,
  planStages,
  planSteps,
  type StagePlan,
  type StepsPlan,
  scratchBase,
} from '../../src/environment/dockerfile/index.ts';

export interface PlanOptions extends Partial<Omit<BuildOptions, 'buildArgs' | 'contexts'>> {
  buildArgs?: Record<string, string>;
  contexts?: string[];
  /** Of every image. */
  image?: Partial<ImageConfig>;
}

export interface WholePlan {
  plan: StagePlan;
  /** By index. */
  stages: Map<number, StepsPlan>;
  target: StepsPlan;
}

export function planOf(text: string, { buildArgs, contexts, image, ...rest }: PlanOptions = {}): WholePlan {
  const plan = planStages(parseDockerfile(text), {
    target: null,
    platform: 'linux/amd64',
    ...rest,
    buildArgs: new Map(Object.entries(buildArgs ?? {})),
    contexts: new Set(contexts),
  });
  const stages = new Map<number, StepsPlan>();
  for (const stage of plan.stages) {
    const { base } = stage;
    const below =
      base.kind === 'stage'
        ? stages.get(base.index)!
        : base.kind === 'image'
          ? imageBase({ ...emptyConfig(), ...image })
          : scratchBase();
    stages.set(stage.index, planSteps(plan, stage, below));
  }
  return { plan, stages, target: stages.get(plan.target)! };
}
