// Bytes that come in pieces take as much memory as they are, however small the pieces.

import assert from 'node:assert/strict';
import type { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { readAll } from '../../src/machine/link/answer.ts';
import { EnvelopeReader, encodeEnvelope } from '../../src/protocol/connect.ts';
import { Gather } from '../../src/protocol/gather.ts';
import { collectGarbage } from '../measure.ts';

const PIECES = 256 * 1024;

/** What is held at the end of as many pieces of a byte. */
async function heldMib(
  give: (pieces: () => Generator<Buffer>) => Promise<unknown> | unknown,
): Promise<number> {
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  let held = 0;
  await give(function* () {
    for (let nr = 0; nr < PIECES; nr++) yield Buffer.from([0x20]);
    collectGarbage();
    held = process.memoryUsage().heapUsed - before;
  });
  return held / 1024 ** 2;
}

describe('bytes that come in pieces', () => {
  it('are all there, in their order, and what was taken is not touched again', () => {
    const all = new Gather();
    assert.equal(all.take().length, 0);
    for (const piece of ['a', '', 'bcd', 'e'.repeat(1000)]) all.add(Buffer.from(piece));
    assert.equal(all.bytes, 1004);
    assert.equal(String(all.look()), `abcd${'e'.repeat(1000)}`);
    const first = all.take();
    all.add(Buffer.from('other'));
    assert.equal(String(first.subarray(0, 5)), 'abcde');
    assert.equal(String(all.take()), 'other');
  });

  it('of an answer, a byte each, take no hundred times what they say', async () => {
    const mib = await heldMib((pieces) => readAll(pieces() as unknown as Readable, PIECES));
    assert.ok(mib < 8, `${mib} MiB`);
  });

  it('of an envelope, a byte each, neither', async () => {
    const head = encodeEnvelope({}).subarray(0, 5);
    head.writeUInt32BE(2 * PIECES, 1);
    const reader = new EnvelopeReader();
    assert.equal([...reader.push(head)].length, 0);
    const mib = await heldMib((pieces) => {
      for (const piece of pieces()) for (const _ of reader.push(piece)) assert.fail();
    });
    assert.ok(mib < 8, `${mib} MiB`);
  });
});
