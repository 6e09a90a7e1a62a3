// A Dockerfile: planned or refused with its line, in bounded time; and what is planned is the same when planned again.

import { isDeepStrictEqual } from 'node:util';
import {
  emptyConfig,
  imageBase,
  parseDockerfile,
  planStages,
  planSteps,
  type StepsPlan,
  scratchBase,
} from '../../src/environment/dockerfile/index.ts';
import { WarrenError } from '../../src/protocol/error.ts';
import { kindOfRefusal } from './target.ts';

export const seeds = [
  'ARG BASE=debian\nFROM $BASE AS build\nARG V=1\nENV PATH=/x:$PATH A="b c"\nWORKDIR src\nRUN --mount=type=cache,target=/c make "$V" ${A%c} \\\n # comment\n  -j2\n',
  "FROM scratch AS a\nCOPY --chown=1:2 go.* ./\nCOPY <<f <<-'g' /etc/\nhi ${A:-$B}\nf\n\tx\ng\nFROM a\nCOPY --from=a / /\nADD https://e.com/x.tgz /\nRUN <<E\n#!/bin/sh\nE\n",
  '# escape=`\nFROM a\nONBUILD COPY --from=0 x y\nHEALTHCHECK --interval=5s CMD ["x"]\nEXPOSE 80 ${P:-1-9}/udp\nLABEL a=${A//\\*/b} b=${A##*x}\nVOLUME ["/v"]\nFROM 0\nSTOPSIGNAL TERM\nUSER a:b\n',
  '\uFEFF#syntax=docker/dockerfile:1\r\nFROM a\r\nCMD run\r\nENTRYPOINT []\r\nSHELL ["/bin/sh"]\r\n',
];

export function run(bytes: Buffer): string {
  const first = planned(bytes);
  if (!isDeepStrictEqual(first, planned(bytes))) throw new Error('planned otherwise the second time');
  if (typeof first === 'string') return first;
  for (const { steps } of first)
    for (const step of steps) {
      const places = [...('dest' in step ? [step.dest] : []), ...('path' in step ? [step.path] : [])];
      for (const place of places)
        if (!place.startsWith('/') || /\/\.\.?(?:\/|$)|\0/.test(place))
          throw new Error(`a place that is not absolute and clean: ${place}`);
    }
  const kinds = first.flatMap(({ steps }) => steps.map(({ kind }) => kind));
  return `${first.length} stages: ${[...new Set(kinds)].sort().join(' ')}`;
}

/** Or what kind of refusal it was. */
function planned(bytes: Buffer): StepsPlan[] | string {
  try {
    const plan = planStages(parseDockerfile(bytes), {
      target: null,
      buildArgs: new Map([['V', '$A']]),
      contexts: new Set(['b']),
      platform: 'linux/amd64',
    });
    const done = new Map<number, StepsPlan>();
    for (const stage of plan.stages) {
      const { base } = stage;
      const outside = base.kind === 'image' ? imageBase(emptyConfig()) : scratchBase();
      done.set(stage.index, planSteps(plan, stage, base.kind === 'stage' ? done.get(base.index)! : outside));
    }
    return [...done.values()];
  } catch (error) {
    if (error instanceof WarrenError && /:\d+:\d+: /.test(error.message)) return kindOfRefusal(error);
    throw error;
  }
}
