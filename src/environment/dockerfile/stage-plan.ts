// What is to be built for a target: which stages, in which order, from what. The shapes that the builder works from.

import type { ImageConfig } from './image-config.ts';
import type { Instruction } from './instruction.ts';
import type { ImageSource, Source } from './source.ts';
import type { Step } from './step.ts';

export interface BuildOptions {
  /** A stage's name or number; null: the last one. */
  target: string | null;
  /** `--build-arg`; of several with one name the last. */
  buildArgs: ReadonlyMap<string, string>;
  /** `--build-context` names. They win over stages and images of their name. */
  contexts: ReadonlySet<string>;
  /** OCI's: `linux/amd64`. */
  platform: string;
}

export interface StagePlan {
  /** Those that the target needs, each after what it needs; the target last. */
  stages: PlannedStage[];
  target: number;
  options: BuildOptions;
  /** Every image that is known to be needed before anything is built; ONBUILD triggers may name more. */
  images: ImageSource[];
  /** ARGs before the first FROM, with their values. */
  globalArgs: ReadonlyMap<string, string>;
  /** `--build-arg` names that no ARG takes: a warning. */
  unusedBuildArgs: string[];
}

export interface PlannedStage {
  index: number;
  /** As `AS` has it, in lower case; null: only by number. */
  name: string | null;
  /** Of its FROM. */
  line: number;
  base: Source;
  /** What its COPY --from and RUN --mount from name, without the main context. */
  uses: Source[];
  instructions: Instruction[];
}

/** Where a stage begins: an image's configuration, or a finished plan of the stage that it stands on. */
export interface StageBase {
  config: ImageConfig;
  /** null: an image's, or scratch. */
  scope: ArgScope | null;
}

/** ARGs that a stage has seen, for the stages that stand on it. */
export interface ArgScope {
  /** In order of declaration; a value of null: declared, never set. */
  args: [name: string, value: string | null][];
  /** ENV and ARG together as expansion sees them. */
  env: [name: string, value: string][];
}

export interface StepsPlan extends StageBase {
  scope: ArgScope;
  steps: Step[];
  /** Of the image that the stage makes. */
  config: ImageConfig;
  /** All sources of its steps, ONBUILD triggers' too, without the main context. */
  uses: Source[];
}
