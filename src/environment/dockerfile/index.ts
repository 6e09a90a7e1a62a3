export { emptyConfig, type Healthcheck, type ImageConfig } from './image-config.ts';
export type { Source } from './source.ts';
export type { BuildOptions, PlannedStage, StageBase, StagePlan, StepsPlan } from './stage-plan.ts';
export type { CopyStep, Mount, RunStep, Step, WorkdirStep } from './step.ts';

// Functions to come, with these signatures:
//   parseDockerfile(text: string | Buffer, file: string): ParsedDockerfile
//   planStages(file: ParsedDockerfile, options: BuildOptions): StagePlan
//   planSteps(plan: StagePlan, stage: PlannedStage, base: StageBase): StepsPlan
//   imageBase(config: ImageConfig): StageBase        scratchBase(): StageBase
//   readConfig(json: unknown): ImageConfig           writeConfig(config: ImageConfig): Record<string, unknown>
//   sourcesOf(step: Step): Source[]
//   ignoreFiles(dockerfile: string): string[]        parseIgnore(text: string): IgnoreRules
//   IgnoreRules.ignores(path: string): boolean       IgnoreRules.mayHoldExceptions(folder: string): boolean
//   selectSources(pattern: string, paths: Iterable<string>): string[]
