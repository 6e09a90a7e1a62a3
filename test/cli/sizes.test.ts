// Sizes of a machine as people write them.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Command } from 'commander';
import { sizeOption } from '../../src/cli/declare.ts';

function read(flag: 'memory' | 'disk', text: string): number {
  const command = new Command()
    .exitOverride()
    .addOption(sizeOption('--memory <size>', '', 'MiB'))
    .addOption(sizeOption('--disk <size>', '', 'GiB'));
  return command.parse([`--${flag}`, text], { from: 'user' }).opts()[flag];
}

describe('a size', () => {
  it('is a number of MiB of memory, of GiB of a disk, or has its unit with it', () => {
    for (const text of ['2048', '2g', '2G', '2GiB', '2gb', '2048m', '2048 MiB', '2097152k', '2147483648b'])
      assert.equal(read('memory', text), 2048, text);
    for (const text of ['40', '40g', '40GiB', '40960m']) assert.equal(read('disk', text), 40, text);
    assert.equal(read('memory', '1.5g'), 1536);
  });

  it('that is none, or is no whole number of them, is a mistake', () => {
    for (const text of ['', 'much', '-1', '2x', '0.1', '1kb', '1e9', '9999999999', 'g', '2 0'])
      assert.throws(() => read('memory', text), /is not a whole number of MiB, nor a size like 4g/, text);
    assert.throws(() => read('disk', '512m'), /is not a whole number of GiB/);
  });
});
