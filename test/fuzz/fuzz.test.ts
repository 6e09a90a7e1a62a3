// Two seconds of each fuzz target with a seed of its own. Longer runs: `node test/fuzz/run.ts TARGET SECONDS SEED`.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fuzz } from './fuzz.ts';
import { targets } from './targets.ts';

const DURATION_MS = 2000;
const SEED = 20261123;

for (const [name, target] of Object.entries(targets))
  it(`${name}, seed ${SEED}`, () => {
    const { runs, failure } = fuzz(target, DURATION_MS, SEED);
    assert.equal(failure && `${failure.error.stack}\ninput: ${failure.input.toString('base64')}`, null);
    assert.ok(runs > target.seeds.length, `${runs} runs`);
  });

it('a target that fails is told with its input', () => {
  const { failure } = fuzz(
    { seeds: ['good', 'bad'], run: (bytes) => assert.notEqual(String(bytes), 'bad') },
    1000,
    1,
  );
  assert.equal(String(failure?.input), 'bad');
});
