// HEALTHCHECK's arguments and flags.

import { parseDurationNs } from './duration.ts';
import { Flags } from './flags.ts';
import type { Healthcheck } from './image-config.ts';
import type { Instruction } from './instruction.ts';
import { Problem, quote } from './problem.ts';

const SHORTEST_NS = 1_000_000;

export function readHealthcheck(at: Instruction): Healthcheck {
  const [first, ...rest] = at.args;
  if (first === undefined) throw new Problem('HEALTHCHECK has no argument: NONE or CMD was expected');
  const kind = first.toUpperCase();
  if (kind === 'NONE') {
    if (rest.length > 0)
      throw new Problem('HEALTHCHECK NONE has arguments: none was expected', { at: rest[0]! });
    return { Test: ['NONE'], Interval: 0, Timeout: 0, StartPeriod: 0, StartInterval: 0, Retries: 0 };
  }
  const flags = new Flags(at, {
    interval: 'text',
    timeout: 'text',
    'start-period': 'text',
    'start-interval': 'text',
    retries: 'text',
  });
  if (kind !== 'CMD')
    throw new Problem(`HEALTHCHECK has ${quote(first)}`, {
      at: first,
      found: first,
      expected: ['CMD', 'NONE'],
    });
  if (rest.length === 0) throw new Problem('HEALTHCHECK CMD has no command: one was expected');
  return {
    Test: at.isJson ? ['CMD', ...rest] : ['CMD-SHELL', rest.join(' ')],
    Interval: durationOf(flags, 'interval'),
    Timeout: durationOf(flags, 'timeout'),
    StartPeriod: durationOf(flags, 'start-period'),
    StartInterval: durationOf(flags, 'start-interval'),
    Retries: retriesOf(flags.text('retries')),
  };
}

function durationOf(flags: Flags, name: string): number {
  const text = flags.text(name);
  if (text === '') return 0;
  const nanoseconds = parseDurationNs(text);
  if (nanoseconds === null)
    throw new Problem(`--${name} has ${quote(text)}: a duration like 30s or 1m was expected`, { at: text });
  if (nanoseconds !== 0 && nanoseconds < SHORTEST_NS)
    throw new Problem(`--${name} is ${text}: 1ms at least was expected`, { at: text });
  return nanoseconds;
}

function retriesOf(text: string): number {
  if (text === '') return 0;
  const retries = /^[+-]?\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(retries >= 0 && retries < 2 ** 31))
    throw new Problem(`--retries has ${quote(text)}: a number from 0 was expected`, { at: text });
  return retries;
}
