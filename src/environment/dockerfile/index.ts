export { readConfig, writeConfig } from './config-json.ts';
export {
  compilePatterns,
  type IgnoreRules,
  ignoreFileNames,
  type Matched,
  parseIgnore,
} from './ignore.ts';
export { emptyConfig, type Healthcheck, type ImageConfig } from './image-config.ts';
export { dockerfileLimits } from './limits.ts';
export { parseDockerfile } from './parse.ts';
export { planStages } from './plan-stages.ts';
export { imageBase, planSteps, scratchBase } from './plan-steps.ts';
export { placeOf, selectSources } from './select-sources.ts';
export { type ContextSource, type ImageSource, type Source, type StageSource, sourceKey } from './source.ts';
export { stagesFor } from './stage-order.ts';
export type { BuildOptions, PlannedStage, StageBase, StagePlan, StepsPlan } from './stage-plan.ts';
export type { ParsedDockerfile } from './statement.ts';
export type { CopySource, CopyStep, Mount, RunStep, Step, WorkdirStep } from './step.ts';
export { sourcesOf } from './step-text.ts';
