import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { AckScanner, encodeData, encodeHello } from '../../src/machine/link/frames.ts';
import { limits } from '../../src/protocol/limits.ts';

const ack = (epoch: Buffer, generation = 1) => {
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(generation);
  return Buffer.concat([Buffer.from('WRN-ACK\n'), epoch, tail]);
};

describe('the frames of an attach', () => {
  it('begins with filler that is longer than any torn frame', () => {
    const hello = encodeHello(Buffer.alloc(16, 7), 1);
    const filler = hello.subarray(0, -21);
    assert.ok(filler.length > limits.channelFramePayloadBytes + 3);
    assert.ok(filler.every((byte) => byte === 0));
    assert.equal(hello.at(-21), 1);
  });

  it('splits data into frames of at most 16 KiB and keeps every byte', () => {
    const data = randomBytes(100_000);
    const parts = encodeData(data);
    const payloads: Buffer[] = [];
    for (let at = 0; at < parts.length; at += 2) {
      assert.equal(parts[at]![0], 2);
      assert.equal(parts[at]!.readUInt16BE(1), parts[at + 1]!.length);
      assert.ok(parts[at + 1]!.length <= limits.channelFramePayloadBytes);
      payloads.push(parts[at + 1]!);
    }
    assert.deepEqual(Buffer.concat(payloads), data);
  });

  it('finds its ACK behind any older bytes, however they are cut', () => {
    for (let round = 0; round < 200; round++) {
      const epoch = randomBytes(16);
      const older = Buffer.concat([
        randomBytes(Math.floor(Math.random() * 5000)),
        ack(randomBytes(16)),
        Buffer.from('WRN-ACK\n'),
      ]);
      const bytes = Buffer.concat([older, ack(epoch, 3), Buffer.from('rest')]);
      const scanner = new AckScanner(epoch);
      let at = 0;
      let found: ReturnType<AckScanner['push']> = { kind: 'more' };
      const tail: Buffer[] = [];
      while (at < bytes.length) {
        const next = Math.min(bytes.length, at + 1 + Math.floor(Math.random() * 700));
        const chunk = bytes.subarray(at, next);
        if (found.kind === 'found') tail.push(chunk);
        else found = scanner.push(chunk);
        at = next;
      }
      assert.equal(found.kind, 'found');
      if (found.kind !== 'found') continue;
      assert.equal(found.generation, 3);
      assert.equal(Buffer.concat([found.rest, ...tail]).toString(), 'rest');
    }
  });

  it('gives up on a guest that floods', () => {
    const scanner = new AckScanner(randomBytes(16));
    let last = scanner.push(Buffer.alloc(64 * 1024, 1));
    for (let sent = 1; sent < 20 && last.kind === 'more'; sent++)
      last = scanner.push(Buffer.alloc(64 * 1024, 1));
    assert.equal(last.kind, 'too-much');
  });
});
