// Packs of a guest with bytes flipped, cut, doubled: each is refused with a code of ours and changes nothing, or it is
// still good. WARREN_FUZZ_ITERATIONS and WARREN_FUZZ_SEED repeat or lengthen a run.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { WarrenError } from '../../src/protocol/error.ts';
import { sanitize } from '../../src/protocol/sanitize.ts';
import { parseHostCommands } from '../../src/repo/host-commands.ts';
import { parseTree } from '../../src/repo/tree-reader.ts';
import { commitAll, fingerprint, temporaryFolder, write } from './fixture.ts';
import { handBack, makePair, packOf } from './hostile.ts';

const iterations = Number(process.env.WARREN_FUZZ_ITERATIONS ?? 40);
const seed = Number(process.env.WARREN_FUZZ_SEED ?? randomBytes(4).readUInt32BE());

/** Mulberry32. */
function randomFrom(start: number): (below: number) => number {
  let state = start;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

function spoil(good: Buffer, random: (below: number) => number): Buffer {
  const bytes = Buffer.from(good);
  const at = random(bytes.length);
  const kind = random(5);
  if (kind === 0) bytes[at]! ^= 1 << random(8);
  if (kind === 1) return bytes.subarray(0, at);
  if (kind === 2) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(random(bytes.length))]);
  if (kind === 3) for (let n = 0; n < 20; n++) bytes[random(bytes.length)] = random(256);
  if (kind === 4) bytes.fill(random(256), at, Math.min(bytes.length, at + random(200)));
  return bytes;
}

test(`spoiled packs (seed ${seed})`, async () => {
  const random = randomFrom(seed);
  const { root, guest, base } = makePair({ 'a.txt': 'line\n'.repeat(500) });
  write(guest, { 'a.txt': `${'line\n'.repeat(500)}more\n`, 'package.json': '{"scripts":{}}', 'x/y': 'z' });
  const tip = commitAll(guest, 'work');
  const good = packOf(guest, tip, [base]);
  const quarantineFolder = join(temporaryFolder(), 'q');
  const before = fingerprint(root);
  for (let n = 0; n < iterations; n++) {
    const bytes = spoil(good, random);
    if (bytes.equals(good)) continue;
    try {
      await handBack(root, { tip, base, pack: bytes, quarantineFolder });
      assert.fail(`spoiled pack ${n} was taken`);
    } catch (error) {
      assert.ok(error instanceof WarrenError && /^repo\.handback-/.test(error.code), `${n}: ${error}`);
      assert.equal(error.message, sanitize(error.message));
    }
    assert.deepEqual(fingerprint(root), before, `spoiled pack ${n}`);
  }
  await handBack(root, { tip, base, pack: good, quarantineFolder });
});

test(`parsers take any bytes (seed ${seed})`, () => {
  const random = randomFrom(seed);
  for (let n = 0; n < iterations * 100; n++) {
    const bytes = Buffer.from(
      Array.from({ length: random(200) }, () => (random(3) ? random(256) : random(64))),
    );
    try {
      for (const row of parseTree(bytes, random(2) ? 20 : 32)) assert.ok(row.id.length >= 40);
    } catch (error) {
      assert.equal((error as WarrenError).code, 'repo.handback-rejected');
    }
    const text = bytes.toString('utf8');
    assert.doesNotMatch(
      sanitize(text),
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/u,
    );
    parseHostCommands(text, '/root');
  }
});
