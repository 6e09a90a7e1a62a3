// What is done to build a stage, step by step, from the configuration of the image that it stands on.

import { applySetting } from './apply-settings.ts';
import { emptyConfig, type ImageConfig } from './image-config.ts';
import { parseTrigger, within } from './parse.ts';
import { cleanPath, resolvePath } from './paths.ts';
import { planCopy } from './plan-copy.ts';
import { planRun } from './plan-run.ts';
import { Problem } from './problem.ts';
import { type Source, uniqueSources } from './source.ts';
import type { PlannedStage, StageBase, StagePlan, StepsPlan } from './stage-plan.ts';
import { checkPath, DEFAULT_PATH, StageState } from './stage-state.ts';
import type { Statement } from './statement.ts';
import type { KeylessStep, Step } from './step.ts';
import { cacheTextOf, sourcesOf, textOf } from './step-text.ts';
import { trim } from './whitespace.ts';

export function imageBase(config: ImageConfig): StageBase {
  return { config, scope: null };
}

/** FROM scratch, and named contexts that are folders. */
export function scratchBase(): StageBase {
  return imageBase({ ...emptyConfig(), Env: [`PATH=${DEFAULT_PATH}`], WorkingDir: '/' });
}

/** `base`: of `stage.base`: the image's configuration, or the plan of that stage. Throws `environment.dockerfile`. */
export function planSteps(plan: StagePlan, stage: PlannedStage, base: StageBase): StepsPlan {
  const state = new StageState(plan, base);
  const triggers = base.config.OnBuild.map((expression) => parseTrigger(expression, plan.file, stage.from));
  const steps: Step[] = [];
  for (const statement of [...triggers, ...stage.statements])
    within(plan.file, statement.at, () => {
      const planned = planStep(state, statement);
      if (planned === null) return;
      for (const source of sourcesOf(planned)) refuseLaterStage(plan, stage, source);
      const cacheText = cacheTextOf(planned);
      state.count(cacheText);
      steps.push({ ...planned, cacheText });
    });
  const uses = uniqueSources(steps.flatMap((step) => sourcesOf(step))).filter(isOutside);
  return { steps, uses, config: state.config, scope: { env: [...state.env] } };
}

/** null: it makes no layer. */
function planStep(state: StageState, statement: Statement): KeylessStep | null {
  if (applySetting(state, statement)) return null;
  switch (statement.kind) {
    case 'run':
      return planRun(state, statement);
    case 'add':
    case 'copy':
      return planCopy(state, statement);
    case 'workdir':
      return planWorkdir(state, statement);
    default:
      return null;
  }
}

function planWorkdir(
  state: StageState,
  { at, path: written }: Extract<Statement, { kind: 'workdir' }>,
): KeylessStep | null {
  const { config } = state;
  config.WorkingDir = resolvePath(config.WorkingDir, checkPath(state.fill(written)));
  const path = cleanPath(config.WorkingDir);
  if (path === '/') return null;
  const text = textOf(trim(at.original), (original) => state.fill(original));
  return { kind: 'workdir', line: at.position.line, text, path, user: config.User };
}

/** Of the file's own instructions that is known before; an image's ONBUILD triggers are only read here. */
function refuseLaterStage({ all }: StagePlan, { index }: PlannedStage, source: Source): void {
  if (source.kind !== 'stage' || source.index < index) return;
  const name = all[source.index]!.name ?? `number ${source.index}`;
  throw new Problem(
    `the image's ONBUILD trigger reads from the stage ${name}, which does not stand before this one`,
  );
}

function isOutside(source: Source): boolean {
  return source.kind !== 'scratch' && !(source.kind === 'context' && source.name === null);
}
