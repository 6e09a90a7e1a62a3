// Bytes on their way: whoever takes them slowly holds few pieces, however fine they were cut.

import assert from 'node:assert/strict';
import { PassThrough, Readable, Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pour } from '../../src/host/pour.ts';
import { until } from '../egress/fake-guest.ts';

/** Takes a piece whenever `take` is called. */
class Slow extends Writable {
  readonly taken: Buffer[] = [];
  #done: (() => void) | null = null;

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.taken.push(chunk);
    this.#done = done;
  }

  take(): void {
    const done = this.#done;
    this.#done = null;
    done?.();
  }
}

function open(): Readable {
  return new Readable({ read() {} });
}

describe('what is poured', () => {
  it('goes in one piece when it came in many', async () => {
    const source = open();
    const sink = new Slow({ highWaterMark: 1 });
    let bytes = 0;
    pour(source, sink, (count) => {
      bytes += count;
    });
    for (let nr = 0; nr < 1000; nr++) source.push('x');
    await until(() => bytes === 1000);
    for (let nr = 0; nr < 1000; nr++) source.push('y');
    await sleep(5);
    assert.deepEqual(sink.taken.map(String), ['x'.repeat(1000)]);
    sink.take();
    await until(() => bytes === 2000);
    assert.deepEqual(sink.taken.map(String), ['x'.repeat(1000), 'y'.repeat(1000)]);
  });

  it('waits for a copy that is slower, and for one that has failed no more', async () => {
    const source = open();
    const sink = new PassThrough();
    const copy = new Slow({ highWaterMark: 1 });
    copy.on('error', () => {});
    let text = '';
    sink.on('data', (chunk) => {
      text += chunk;
    });
    pour(source, sink, () => {}, copy);
    source.push('one ');
    await until(() => text === 'one ');
    source.push('two ');
    await sleep(5);
    assert.equal(text, 'one ');
    copy.take();
    await until(() => text === 'one two ');
    copy.destroy(new Error('no room'));
    await until(() => copy.closed);
    source.push('three');
    await until(() => text === 'one two three');
    assert.deepEqual(copy.taken.map(String), ['one ', 'two ']);
  });

  it('is left where it is when whoever takes it has gone', async () => {
    const source = open();
    const sink = new Slow({ highWaterMark: 1 });
    let bytes = 0;
    pour(source, sink, (count) => {
      bytes += count;
    });
    source.push('x');
    await until(() => bytes === 1);
    sink.destroy();
    source.push('yy');
    await sleep(5);
    assert.deepEqual([bytes, source.readableLength], [1, 2]);
  });
});
