// Writes the copy of an answer while it passes. The passing goes no slower than the disk takes the copy; a disk that
// fails, or an answer that breaks off, ends the copy and not the passing.

import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Writable } from 'node:stream';
import { temporaryBeside } from '../../host/atomic-file.ts';
import type { Response, ResponseHead } from '../http/call.ts';
import { keptHeaders } from './answer.ts';
import { Hashing } from './hashing.ts';
import { RECORD_BYTES, recordBlock } from './kept-file.ts';
import { type Expected, keepableLength, MAX_OBJECT_BYTES, prove } from './proof.ts';

const BUFFER_BYTES = 1024 ** 2;

export interface Keeping {
  path: string;
  key: string;
  expected: Expected;
  mostBytes: number;
  nowUnixMs(): number;
}

export type KeepOutcome = { kept: number } | 'unproved' | 'broken' | { disk: string };

/** Null when the answer is nothing to keep; else where its bytes go. `outcome` resolves once the copy is in place, or gone. */
export function keep(
  response: Response,
  keeping: Keeping,
): (Writable & { outcome: Promise<KeepOutcome> }) | null {
  const length = keepableLength(response.head);
  if (length === false || (length ?? 0) > keeping.mostBytes) return null;
  const copy = new Copy(length, keeping, response.head);
  const { body } = response;
  body.once('close', () => {
    if (!copy.writableEnded) copy.destroy(new Error('broke off'));
  });
  return copy;
}

class Copy extends Writable {
  readonly outcome: Promise<KeepOutcome>;
  readonly #length: number | null;
  readonly #keeping: Keeping;
  readonly #head: ResponseHead;
  readonly #settle: (outcome: KeepOutcome) => void;
  readonly #opening: Promise<{ file: FileHandle; hashing: Hashing }>;
  readonly #temporary: string;
  #bytes = 0;
  #broken: KeepOutcome = 'broken';

  constructor(length: number | null, keeping: Keeping, head: ResponseHead) {
    super({ highWaterMark: BUFFER_BYTES });
    this.#length = length;
    this.#keeping = keeping;
    this.#head = head;
    const { promise, resolve } = Promise.withResolvers<KeepOutcome>();
    this.outcome = promise;
    this.#settle = resolve;
    this.#temporary = temporaryBeside(keeping.path);
    this.#opening = this.#open();
    this.#opening.catch((error: NodeJS.ErrnoException) => this.#disk(error));
    this.on('error', () => {});
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#add([chunk]).then(() => done(), done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#add(chunks.map(({ chunk }) => chunk)).then(() => done(), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#finish().then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    void this.#opening
      .then(({ file }) => file.close())
      .catch(() => {})
      .then(() => rm(this.#temporary, { force: true }))
      .catch(() => {})
      .finally(() => {
        this.#settle(this.#broken);
        done(error);
      });
  }

  async #open() {
    await mkdir(dirname(this.#keeping.path), { recursive: true, mode: 0o700 });
    const hashing = await Hashing.of(this.#keeping.expected.named?.algorithm ?? null);
    return { file: await open(this.#temporary, 'wx', 0o600), hashing };
  }

  async #add(chunks: Buffer[]): Promise<void> {
    const { file, hashing } = await this.#opening;
    for (const chunk of chunks) hashing.update(chunk);
    const before = this.#bytes;
    const all = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    this.#bytes += all.length;
    if (this.#bytes > Math.min(this.#keeping.mostBytes, MAX_OBJECT_BYTES)) throw new Error('too long');
    for (let at = 0; at < all.length; ) {
      const { bytesWritten } = await file
        .write(all, at, all.length - at, RECORD_BYTES + before + at)
        .catch((error) => this.#disk(error));
      at += bytesWritten;
    }
  }

  async #finish(): Promise<void> {
    const { file, hashing } = await this.#opening;
    const { expected, key, nowUnixMs, path } = this.#keeping;
    const digests = hashing.digests();
    const lengthFits = this.#length === null ? this.#bytes > 0 : this.#length === this.#bytes;
    if (!lengthFits) throw new Error('broke off');
    const proof = prove(expected, digests, this.#length !== null);
    const block =
      proof &&
      recordBlock({
        key,
        proof,
        digests,
        keptAtUnixMs: nowUnixMs(),
        bytes: this.#bytes,
        headers: keptHeaders(this.#head),
      });
    if (!block) {
      this.#broken = 'unproved';
      throw new Error('unproved');
    }
    await file.write(block, 0, block.length, 0).catch((error) => this.#disk(error));
    await rename(this.#temporary, path).catch((error) => this.#disk(error));
    this.#broken = { kept: RECORD_BYTES + this.#bytes };
  }

  #disk(error: NodeJS.ErrnoException): never {
    this.#broken = { disk: error.code ?? 'unknown' };
    this.destroy(error);
    throw error;
  }
}
