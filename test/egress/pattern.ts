// Bytes of any number in which no two places look alike: what was lost, doubled, moved or exchanged is found where it
// happened, at the speed of comparing memory.

import assert from 'node:assert/strict';
import { createCipheriv } from 'node:crypto';
import type { Duplex } from 'node:stream';

const BLOCK_BYTES = 64 * 1024;
/** The same in every process. */
const base = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(
  Buffer.alloc(BLOCK_BYTES),
);

function block(nr: number): Buffer {
  const made = Buffer.from(base);
  made.writeDoubleLE(nr, 0);
  return made;
}

/** Writes so many bytes, never faster than they are taken. */
export async function pourPattern(into: Duplex, bytes: number): Promise<void> {
  for (let sent = 0; sent < bytes; sent += BLOCK_BYTES) {
    const part = block(sent / BLOCK_BYTES).subarray(0, bytes - sent);
    if (!into.write(part)) await drained(into);
  }
}

function drained(stream: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error) => {
      stream.off('drain', done).off('close', broken);
      if (error) reject(error);
      else resolve();
    };
    const broken = () => done(new Error('closed before all was written'));
    stream.once('drain', done).once('close', broken);
  });
}

/** Takes bytes as they come, and throws at the first that is another than it should be. */
export class PatternCheck {
  #at = 0;
  #nr = 0;
  #expected: Buffer = block(0);

  get bytes(): number {
    return this.#at;
  }

  push(chunk: Buffer): void {
    for (let from = 0; from < chunk.length; ) {
      const within = this.#at % BLOCK_BYTES;
      const nr = (this.#at - within) / BLOCK_BYTES;
      if (nr !== this.#nr) [this.#nr, this.#expected] = [nr, block(nr)];
      const length = Math.min(chunk.length - from, BLOCK_BYTES - within);
      const same = chunk.compare(this.#expected, within, within + length, from, from + length) === 0;
      assert.ok(same, `another byte than was sent, near ${this.#at}`);
      from += length;
      this.#at += length;
    }
  }
}

/** Resolves when so many bytes have come as they should, with what came behind them in the same piece. */
export function takePattern(from: Duplex, bytes: number): Promise<Buffer> {
  const check = new PatternCheck();
  return new Promise((resolve, reject) => {
    const closed = () => reject(new Error(`closed after ${check.bytes} of ${bytes} bytes`));
    const take = (chunk: Buffer) => {
      const own = chunk.subarray(0, bytes - check.bytes);
      try {
        check.push(own);
      } catch (error) {
        reject(error);
        from.destroy();
      }
      if (check.bytes < bytes) return;
      from.pause();
      from.off('data', take).off('close', closed);
      resolve(chunk.subarray(own.length));
    };
    from.on('data', take).once('close', closed);
  });
}
