// Names in a Dockerfile → the sources that they mean: a named context before all, then stages, then images.

import { expand } from './expand.ts';
import { Problem, quote } from './problem.ts';
import { mountFrom } from './read-mount.ts';
import { findContext, outsideSource, type Source } from './source.ts';
import type { BuildOptions, PlannedStage, StagePlan } from './stage-plan.ts';
import type { Statement } from './statement.ts';

/** What a statement of a stage reads from; the main context is not said. Throws a `Problem`. */
export function sourcesOfStatement(
  { all, options }: Pick<StagePlan, 'all' | 'options'>,
  statement: Statement,
): Source[] {
  if (statement.kind === 'copy' && statement.from !== null)
    return [copySource({ all, options }, statement.from)];
  if (statement.kind !== 'run') return [];
  return statement.mounts.flatMap((mount) => {
    const from = mountFrom(mount);
    return from === '' ? [] : [namedSource({ all, options }, from)];
  });
}

/** COPY's `--from`: a stage by name or number, or what is outside. Throws a `Problem`. */
export function copySource(plan: Pick<StagePlan, 'all' | 'options'>, from: string): Source {
  if (expand(from, new Map()).text !== from)
    throw new Problem(`--from has ${quote(from)}: no variables can stand there`, {
      at: from,
      remedy: 'name a stage: FROM $IMAGE AS NAME, then --from=NAME',
    });
  if (!/^[+-]?\d+$/.test(from)) return namedSource(plan, from);
  const index = Number(from);
  const stage = plan.all[index];
  if (stage === undefined)
    throw new Problem(`--from has ${quote(from)}: a number from 0 to ${plan.all.length - 1} was expected`, {
      at: `--from=${from}`,
    });
  return stageSource(plan.options, stage);
}

export function namedSource({ all, options }: Pick<StagePlan, 'all' | 'options'>, name: string): Source {
  const stage = all.findLast((candidate) => candidate.name === name.toLowerCase());
  if (stage !== undefined) return stageSource(options, stage);
  return name === 'scratch' ? { kind: 'scratch' } : outsideSource(name, options.contexts, null);
}

function stageSource(
  { contexts }: BuildOptions,
  { index, name }: Pick<PlannedStage, 'index' | 'name'>,
): Source {
  return (name === null ? null : findContext(name, contexts)) ?? { kind: 'stage', index };
}

/** FROM's: a stage that stands before it, or what is outside. Throws a `Problem`. */
export function baseSource(
  name: string,
  platform: string | null,
  names: ReadonlyMap<string, number>,
  options: BuildOptions,
): Source {
  const index = names.get(name);
  if (index !== undefined) return stageSource(options, { index, name });
  if (name === 'scratch') return { kind: 'scratch' };
  const lower = name.toLowerCase();
  if (names.has(lower) && lower !== name)
    throw new Problem(`FROM ${name} is no stage: their names are in lower case`, {
      at: name,
      found: name,
      expected: [lower],
    });
  return outsideSource(name, options.contexts, platform);
}
