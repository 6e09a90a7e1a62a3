// Fuzzes one target, and says where it stopped. A failure ends with 1 and leaves its input in base64, for `--repro` and
// for a seed. `--keep` writes the shortest input of each kind of answer to `seeds/TARGET.json`, which later runs begin
// with.
//
//   node test/fuzz/run.ts TARGET [--seconds N | --iters N] [--seed N] [--keep] [--repro BASE64]

import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { fuzz } from './fuzz.ts';
import { keepSeeds } from './seeds.ts';
import { targets } from './targets.ts';

const { values, positionals } = parseArgs({
  options: {
    seconds: { type: 'string' },
    iters: { type: 'string' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    keep: { type: 'boolean', default: false },
    repro: { type: 'string' },
  },
  allowPositionals: true,
});
const [name = ''] = positionals;
const target = targets[name];
if (!target) {
  console.error(
    `usage: node test/fuzz/run.ts TARGET [--seconds N | --iters N] [--seed N] [--keep] [--repro BASE64]\ntargets: ${Object.keys(targets).join(', ')}`,
  );
  process.exit(2);
}
if (values.repro !== undefined) {
  console.log(`${name}: ${(await target.run(Buffer.from(values.repro, 'base64'))) ?? 'no failure'}`);
  process.exit(0);
}
const until = values.iters
  ? { runs: Number(values.iters) }
  : { durationMs: Number(values.seconds ?? 10) * 1000 };
const startedMs = performance.now();
const { runs, slowestMs, grownMib, kinds, failure } = await fuzz(target, until, Number(values.seed));
const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
console.log(
  `${name}: ${runs} runs in ${seconds} s, seed ${values.seed}, ${kinds.size} kinds of answers, slowest ${slowestMs.toFixed(1)} ms of CPU, ${grownMib.toFixed(1)} MiB grown`,
);
if (values.keep) keepSeeds(name, kinds);
if (failure) {
  console.error(failure.error.stack);
  console.error(`input: ${failure.input.toString('base64')}`);
}
process.exit(failure ? 1 : 0);
