// Runs a target on bred bytes until the time is over, and tells the first input that it failed on, to repeat.

import { mutate, randomFrom } from './mutate.ts';
import type { Target } from './target.ts';

export interface Outcome {
  runs: number;
  /** Longest single run. */
  slowestMs: number;
  failure: { error: Error; input: Buffer } | null;
}

/** Nothing that fits into one input may take longer: whoever sends it would stop the others. */
const MAX_RUN_MS = 1000;
const MAX_POOL = 2000;

export function fuzz(target: Target, durationMs: number, seed: number): Outcome {
  const random = randomFrom(seed);
  const pool = target.seeds.map((each): Buffer => Buffer.from(each));
  const outcome: Outcome = { runs: 0, slowestMs: 0, failure: null };
  const endMs = performance.now() + durationMs;
  for (let input: Buffer = pool[0]!; performance.now() < endMs; outcome.runs++) {
    input = outcome.runs < target.seeds.length ? pool[outcome.runs]! : mutate(pool, random);
    const startMs = performance.now();
    try {
      target.run(Buffer.from(input));
    } catch (error) {
      outcome.failure = { error: error as Error, input };
      return outcome;
    }
    const tookMs = performance.now() - startMs;
    outcome.slowestMs = Math.max(outcome.slowestMs, tookMs);
    if (tookMs > MAX_RUN_MS) {
      outcome.failure = { error: new Error(`one run took ${Math.round(tookMs)} ms`), input };
      return outcome;
    }
    // Children of children reach further than one step from the seeds.
    if (random(20) === 0) {
      if (pool.length < MAX_POOL) pool.push(input);
      else pool[target.seeds.length + random(MAX_POOL - target.seeds.length)] = input;
    }
  }
  return outcome;
}
