// What is to be built for a target: which stages, in which order, from what. The shapes that the builder works from.

import type { ImageConfig } from './image-config.ts';
import type { Directives, Instruction } from './instruction.ts';
import type { ImageSource, Source } from './source.ts';
import type { Statement } from './statement.ts';
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
  /** For messages. */
  file: string;
  escape: Directives['escape'];
  options: BuildOptions;
  /** Those that the target needs, each after what it needs; the target last. */
  stages: PlannedStage[];
  /** Of the stages of the file. */
  target: number;
  /** Every stage of the file, by index. */
  all: PlannedStage[];
  /** Every image that is known to be needed before anything is built; ONBUILD triggers of images may name more. */
  images: ImageSource[];
  /** ARGs before the first FROM, and those of the platform, with their values. */
  globalArgs: ReadonlyMap<string, string>;
  /** `--build-arg` names that no ARG takes: a warning. */
  unusedBuildArgs: string[];
}

export interface PlannedStage {
  index: number;
  /** As `AS` has it, in lower case; null: only by number. */
  name: string | null;
  /** Its FROM. */
  from: Instruction;
  base: Source;
  /** What its COPY --from and RUN --mount from name, ONBUILD triggers of a stage it stands on too. */
  uses: Source[];
  statements: Statement[];
}

/** Where a stage begins: an image's configuration, or a finished plan of the stage that it stands on. */
export interface StageBase {
  config: ImageConfig;
  /** null: an image's, or scratch. */
  scope: ArgScope | null;
}

/** What a stage has seen of ENV and ARG, for the stages that stand on it. */
export interface ArgScope {
  /** As expansion sees them. */
  env: [name: string, value: string][];
}

export interface StepsPlan extends StageBase {
  scope: ArgScope;
  steps: Step[];
  /** Of the image that the stage makes. */
  config: ImageConfig;
  /** All sources of its steps, ONBUILD triggers' too, without the main context. Stages among them that are not in
   * `StagePlan.stages` are planned with `stagesFor`. */
  uses: Source[];
}
