// Which stages a target needs, and what each stands on.

import { expand } from './expand.ts';
import { parseTrigger, within } from './parse.ts';
import { formatPlatform, type Platform, parsePlatform, platformArgs } from './platform.ts';
import { dockerfileError, Problem, quote } from './problem.ts';
import { findContext, type ImageSource, type Source, uniqueSources } from './source.ts';
import { refuseCircles, stagesFor } from './stage-order.ts';
import type { BuildOptions, PlannedStage, StagePlan } from './stage-plan.ts';
import { baseSource, sourcesOfStatement } from './stage-sources.ts';
import type { ParsedDockerfile, Stage, Statement } from './statement.ts';
import { unusedBuildArgs } from './unused-args.ts';

type Names = ReadonlyMap<string, number>;

/** Throws `environment.dockerfile`. */
export function planStages(parsed: ParsedDockerfile, options: BuildOptions): StagePlan {
  const own = ownPlatform(options.platform);
  const globalArgs = globalArgsOf(parsed, options, own);
  const names = new Map<string, number>();
  const all: PlannedStage[] = [];
  for (const [index, stage] of parsed.stages.entries()) {
    all.push(planFrom(parsed, options, globalArgs, own, names, stage, index));
    // Only stages before it can be a stage's base; of two with one name the later one counts.
    if (stage.from.name !== null) names.set(stage.from.name, index);
  }
  const plan = { file: parsed.file, escape: parsed.directives.escape, options, all, globalArgs };
  for (const stage of all) stage.uses = usesOf(plan, stage);
  refuseCircles(plan);
  const target = targetOf(plan, names);
  const stages = stagesFor(plan, target);
  return {
    ...plan,
    target,
    stages,
    images: uniqueSources(stages.flatMap(({ base, uses }) => [base, ...uses])).filter(
      (source): source is ImageSource => source.kind === 'image',
    ),
    unusedBuildArgs: unusedBuildArgs(parsed, stages, options.buildArgs),
  };
}

function planFrom(
  { file, directives }: ParsedDockerfile,
  options: BuildOptions,
  globalArgs: ReadonlyMap<string, string>,
  own: Platform,
  names: Names,
  { from, statements }: Stage,
  index: number,
): PlannedStage {
  const stage = { index, name: from.name, from: from.at, uses: [] };
  return within(file, from.at, () => {
    const replaced = from.name === null ? null : findContext(from.name, options.contexts);
    const fill = (word: string): string => expand(word, globalArgs, { escape: directives.escape }).text;
    const base = fill(from.base);
    if (base === '')
      throw new Problem(`FROM ${from.base} is empty: an image, a stage or scratch was expected`, {
        at: from.base,
        remedy: `give it a default before FROM: ARG NAME=debian:bookworm; or --build-arg NAME=…`,
      });
    const platform = from.platform === null ? null : platformOf(fill(from.platform), from.platform, own);
    if (replaced !== null) return { ...stage, base: replaced, statements: [] };
    return { ...stage, base: baseSource(base, platform, names, options), statements };
  });
}

function platformOf(text: string, written: string, own: Platform): string {
  if (text === '')
    throw new Problem(`--platform=${written} is empty: OS/ARCHITECTURE was expected`, { at: written });
  return formatPlatform(parsePlatform(text, own));
}

function usesOf(plan: Pick<StagePlan, 'all' | 'options' | 'file'>, stage: PlannedStage): Source[] {
  const own = stage.statements.flatMap((statement) =>
    within(plan.file, statement.at, () => sourcesOfStatement(plan, statement)),
  );
  const triggers = triggersOf(plan, stage).flatMap((trigger) =>
    within(plan.file, stage.from, () => sourcesOfStatement(plan, trigger)),
  );
  return uniqueSources([...triggers, ...own]).filter(
    (source) => source.kind !== 'context' || source.name !== null,
  );
}

/** ONBUILD of the stage that this one stands on. An image's are known only when it has been pulled. */
function triggersOf(
  { all, file }: Pick<StagePlan, 'all' | 'file'>,
  { base, from }: PlannedStage,
): Statement[] {
  if (base.kind !== 'stage') return [];
  return all[base.index]!.statements.flatMap((statement) =>
    statement.kind === 'onbuild' ? [parseTrigger(statement.expression, file, from)] : [],
  );
}

function targetOf({ all, file, options }: Pick<StagePlan, 'all' | 'file' | 'options'>, names: Names): number {
  const { target } = options;
  if (target === null) return all.length - 1;
  const index = names.get(target.toLowerCase()) ?? (/^\d+$/.test(target) ? Number(target) : -1);
  if (all[index] !== undefined) return index;
  const known = [...names.keys()];
  throw dockerfileError(file, all.at(-1)!.from.position, `there is no stage ${quote(target)}`, {
    found: target,
    expected: known,
    remedy: `name one of its stages: --target ${known[0] ?? 0}`,
  });
}

function globalArgsOf(
  { globalArgs, stages, file, directives }: ParsedDockerfile,
  { buildArgs, target }: BuildOptions,
  own: Platform,
): ReadonlyMap<string, string> {
  const args = new Map<string, string>();
  const stage = target ?? stages.at(-1)!.from.name ?? 'default';
  for (const [name, value] of platformArgs(own, stage)) args.set(name, buildArgs.get(name) ?? value);
  for (const { at, args: declared } of globalArgs)
    within(file, at, () => {
      for (const { name, value } of declared) {
        const given = buildArgs.get(name);
        if (given !== undefined) args.set(name, given);
        else if (value !== null) args.set(name, expand(value, args, { escape: directives.escape }).text);
      }
    });
  return args;
}

function ownPlatform(text: string): Platform {
  return parsePlatform(text, { os: 'linux', architecture: 'amd64', variant: '' });
}
