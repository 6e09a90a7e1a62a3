// What a step says of itself: to people, and to the cache.

import { Problem } from './problem.ts';
import type { Source } from './source.ts';
import type { KeylessStep } from './step.ts';

/** Raised when the same text would mean another result. */
const CACHE_VERSION = 1;
const DECIDES_NOTHING = ['line', 'text', 'proxyEnv'];

/** With its variables filled in where that can be done, its first word in capitals. */
export function textOf(original: string, fill: (text: string) => string): string {
  return filledOf(original, fill).replace(/^[^ ]*/, (word) => word.toUpperCase());
}

/** Sources whose contents decide the result, in the order in which `cacheText` counts them. */
export function sourcesOf(step: KeylessStep): Source[] {
  if (step.kind === 'run') return step.mounts.flatMap((mount) => ('from' in mount ? [mount.from] : []));
  return step.kind === 'copy' ? [step.from] : [];
}

/** See `Step.cacheText`. */
export function cacheTextOf(step: KeylessStep): string {
  const deciding = Object.entries(step)
    .filter(([name]) => !DECIDES_NOTHING.includes(name))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  let sources = 0;
  return JSON.stringify([CACHE_VERSION, Object.fromEntries(deciding)], (name, value: unknown) =>
    name === 'from' ? sources++ : value,
  );
}

function filledOf(original: string, fill: (text: string) => string): string {
  try {
    return fill(original);
  } catch (error) {
    // Shell understands more than the lexer: then people read it as it was written.
    if (!(error instanceof Problem)) throw error;
    return original;
  }
}
