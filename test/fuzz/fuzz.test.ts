// Two seconds of each fuzz target with a seed of its own. Longer runs: `node test/fuzz/run.ts TARGET --seconds N`.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fuzz } from './fuzz.ts';
import { targets } from './targets.ts';

const DURATION_MS = 2000;
const SEED = 20261123;

for (const [name, target] of Object.entries(targets))
  it(`${name}, seed ${SEED}`, async () => {
    // Every seed once, however slow this computer is.
    const seeded = await fuzz(target, { runs: target.seeds.length }, SEED);
    const bred = seeded.failure ? seeded : await fuzz(target, { durationMs: DURATION_MS }, SEED);
    const { failure } = bred;
    assert.equal(failure && `${failure.error.stack}\ninput: ${failure.input.toString('base64')}`, null);
    assert.ok(bred.runs > 0);
  });

it('a target that fails is told with its input', async () => {
  const { failure } = await fuzz(
    { seeds: ['good', 'bad'], run: (bytes) => assert.notEqual(String(bytes), 'bad') },
    { runs: 2 },
    1,
  );
  assert.equal(String(failure?.input), 'bad');
});

it('a target that keeps what it was given is told', async () => {
  const kept: Buffer[] = [];
  const { failure } = await fuzz(
    { seeds: ['x'], run: () => void kept.push(Buffer.alloc(1024 ** 2)) },
    { runs: 300 },
    1,
  );
  assert.match(String(failure?.error), /MiB are held/);
});

it('an answer of a new kind is bred from', async () => {
  const seen = new Set<string>();
  const run = (bytes: Buffer): string => {
    const kind = String(bytes.subarray(0, 3));
    seen.add(kind);
    return `begins with ${kind}`;
  };
  const { kinds } = await fuzz({ seeds: ['aaa'], run }, { runs: 2000 }, 1);
  assert.ok(kinds.size > 20);
});
