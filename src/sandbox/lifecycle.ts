// Which state may follow which, and by what verb. Pure; the one table that every command asks.

import type { SandboxState } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';

export type Verb = 'stop' | 'start' | 'pause' | 'resume' | 'remove' | 'use';

type Outcome = SandboxState | 'already' | 'refused';

const TABLE: Record<Verb, Record<SandboxState, Outcome>> = {
  stop: {
    creating: 'refused',
    running: 'stopped',
    paused: 'stopped',
    stopped: 'already',
    crashed: 'stopped',
    removing: 'refused',
  },
  start: {
    creating: 'refused',
    running: 'already',
    paused: 'running',
    stopped: 'running',
    crashed: 'running',
    removing: 'refused',
  },
  pause: {
    creating: 'refused',
    running: 'paused',
    paused: 'already',
    stopped: 'refused',
    crashed: 'refused',
    removing: 'refused',
  },
  resume: {
    creating: 'refused',
    running: 'already',
    paused: 'running',
    stopped: 'refused',
    crashed: 'refused',
    removing: 'refused',
  },
  remove: {
    creating: 'removing',
    running: 'removing',
    paused: 'removing',
    stopped: 'removing',
    crashed: 'removing',
    removing: 'removing',
  },
  use: {
    creating: 'refused',
    running: 'already',
    paused: 'refused',
    stopped: 'refused',
    crashed: 'refused',
    removing: 'refused',
  },
};

/** The state after `verb`, or `already`. Throws `sandbox.wrong-state` with the command that helps. */
export function next(verb: Verb, state: SandboxState, name: string): SandboxState | 'already' {
  const outcome = TABLE[verb][state];
  if (outcome !== 'refused') return outcome;
  const remedy: Partial<Record<SandboxState, string>> = {
    stopped: `warren start ${name}`,
    crashed: `warren start ${name}`,
    paused: `warren resume ${name}`,
    creating: `wait until it is up: warren show ${name}`,
  };
  throw new WarrenError({
    code: 'sandbox.wrong-state',
    message: `cannot ${verb} sandbox "${name}": it is ${state}`,
    ...(remedy[state] && { remedy: remedy[state] }),
    details: { state },
  });
}
