// `node test/fuzz/run.ts TARGET SECONDS [SEED]`: fuzzes one target. A failure ends with 1 and leaves its input in
// base64, for a test of its own.

import { randomInt } from 'node:crypto';
import { fuzz } from './fuzz.ts';
import { targets } from './targets.ts';

const [name = '', seconds = '10', seed = String(randomInt(2 ** 31))] = process.argv.slice(2);
const target = targets[name];
if (!target) {
  console.error(
    `usage: node test/fuzz/run.ts TARGET SECONDS [SEED]\ntargets: ${Object.keys(targets).join(', ')}`,
  );
  process.exit(2);
}
const { runs, slowestMs, failure } = fuzz(target, Number(seconds) * 1000, Number(seed));
console.log(`${name}: ${runs} runs, seed ${seed}, slowest ${slowestMs.toFixed(1)} ms`);
if (failure) {
  console.error(failure.error.stack);
  console.error(`input: ${failure.input.toString('base64')}`);
  process.exit(1);
}
