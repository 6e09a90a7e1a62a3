// Runs a target on bred bytes until the time or the runs are over, and tells the first input that it failed on, to
// repeat. Bounded are the CPU of a run and what the process holds afterwards: neither depends on who else is busy.

import { collectGarbage, cpuMs } from '../measure.ts';
import { mutate, randomFrom } from './mutate.ts';
import type { Ran, Target } from './target.ts';

export interface Outcome {
  runs: number;
  /** Most CPU that a single run took. */
  slowestMs: number;
  /** What is held at the end beyond what was held soon after the start, the bred inputs apart. */
  grownMib: number;
  /** The shortest input of each kind of answer. */
  kinds: Map<string, Buffer>;
  failure: { error: Error; input: Buffer } | null;
}

export interface Until {
  durationMs?: number;
  runs?: number;
}

/** Nothing that fits into one input may take longer: whoever sends it would stop the others. */
const MAX_RUN_MS = 1000;
const MAX_GROWN_MIB = 64;
const WARM_RUNS = 200;
const RUNS_PER_TURN = 100;
const MAX_POOL = 2000;
const MAX_KINDS = 500;
const MAX_POOLED_BYTES = 16 * 1024;
const MIB = 1024 ** 2;

export async function fuzz(target: Target, until: Until, seed: number): Promise<Outcome> {
  const random = randomFrom(seed);
  const pool = target.seeds.map((each): Buffer => Buffer.from(each));
  const { length: seeds } = pool;
  const outcome: Outcome = { runs: 0, slowestMs: 0, grownMib: 0, kinds: new Map(), failure: null };
  const endMs = performance.now() + (until.durationMs ?? Number.POSITIVE_INFINITY);
  const most = until.runs ?? Number.POSITIVE_INFINITY;
  let held = 0;
  const fail = (error: Error, input: Buffer): Outcome => ({ ...outcome, failure: { error, input } });
  for (; outcome.runs < most && performance.now() < endMs; outcome.runs++) {
    const input = outcome.runs < seeds ? pool[outcome.runs]! : mutate(pool, random);
    const before = cpuMs();
    let kind: Ran;
    try {
      const ran = target.run(Buffer.from(input));
      kind = ran instanceof Promise ? await ran : ran;
    } catch (error) {
      return fail(error as Error, input);
    }
    const tookMs = cpuMs() - before;
    outcome.slowestMs = Math.max(outcome.slowestMs, tookMs);
    if (tookMs > MAX_RUN_MS) return fail(new Error(`one run took ${Math.round(tookMs)} ms of CPU`), input);
    // What a run has closed is gone after a turn of the loop only.
    if (outcome.runs % RUNS_PER_TURN === 0) await turn();
    if (outcome.runs === WARM_RUNS) held = await heldMib(pool);
    if (keep(outcome.kinds, kind, input)) pool.push(own(input));
    // Children of children reach further than one step from the seeds.
    else if (random(20) === 0 && input.length <= MAX_POOLED_BYTES) {
      if (pool.length < MAX_POOL) pool.push(own(input));
      else pool[seeds + random(MAX_POOL - seeds)] = own(input);
    }
  }
  if (outcome.runs > WARM_RUNS) outcome.grownMib = (await heldMib(pool)) - held;
  if (outcome.grownMib > MAX_GROWN_MIB)
    return fail(
      new Error(`${outcome.grownMib.toFixed(0)} MiB are held after ${outcome.runs} runs`),
      Buffer.alloc(0),
    );
  return outcome;
}

/** Whether the kind is new. */
function keep(kinds: Outcome['kinds'], kind: Ran, input: Buffer): boolean {
  if (typeof kind !== 'string') return false;
  const before = kinds.get(kind);
  if (before ? input.length < before.length : kinds.size < MAX_KINDS) kinds.set(kind, own(input));
  return before === undefined && kinds.has(kind);
}

/** Small buffers of Node are parts of a larger one, which each of them keeps. */
function own(bytes: Buffer): Buffer {
  const made = Buffer.alloc(bytes.length);
  bytes.copy(made);
  return made;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function heldMib(pool: readonly Buffer[]): Promise<number> {
  await turn();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external - pool.reduce((bytes, each) => bytes + each.length, 0)) / MIB;
}
