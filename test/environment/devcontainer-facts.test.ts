// What the reference implementation answers about configurations holds for ours. The program prints "N of M".

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { carriedConfigurations } from './devcontainer-facts.ts';
import { ownAnswer } from './devcontainer-reading.ts';

describe('configurations that devcontainers/cli has read', () => {
  const all = carriedConfigurations();

  it(`mean the same here: ${all.length}`, () => {
    for (const { configuration, answer } of all)
      assert.deepEqual(ownAnswer(configuration), answer, configuration.name);
  });

  it('are all there', () => {
    assert.ok(all.length >= 64, `${all.length} configurations`);
  });
});
