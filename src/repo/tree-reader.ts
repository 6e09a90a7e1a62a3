// Reads tree objects of a hand-back one by one from a running `cat-file --batch`. Rows are made while they are
// looked at, so that a huge tree costs its bytes and no more. Names are bytes, kept as latin1 text.

import { PassThrough, Writable } from 'node:stream';
import { gitSealed } from './git.ts';
import { rejected } from './handback-error.ts';

export interface TreeRow {
  /** Octal, six digits. */
  mode: string;
  name: string;
  id: string;
}

const SMALL_BYTES = 16 * 1024;
const SMALL_COUNT = 1000;

interface Waiting {
  id: string;
  resolve(rows: Iterable<TreeRow>): void;
  reject(error: Error): void;
}

export class TreeReader {
  readonly #requests = new PassThrough();
  readonly #waiting: Waiting[] = [];
  readonly #ended: Promise<unknown>;
  #failure: Error | null = null;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Of the answer that is arriving, with its header and final newline; 0: the header is not whole yet. */
  #wanted = 0;
  readonly #idBytes: number;
  readonly #small = new Map<string, Buffer>();

  constructor(gitDir: string, objectFormat: 'sha1' | 'sha256', signal: AbortSignal) {
    this.#idBytes = objectFormat === 'sha1' ? 20 : 32;
    const sink = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        try {
          this.#take(chunk);
          done();
        } catch (error) {
          done(error as Error);
        }
      },
    });
    this.#ended = gitSealed(gitDir, ['cat-file', '--batch=%(objecttype) %(objectsize)'], {
      input: this.#requests,
      output: sink,
      signal,
    }).then(
      () => this.#fail(rejected('git ended before it had answered')),
      (error: Error) => this.#fail(error),
    );
  }

  /** `id`: a tree, or what git takes for the name of one. */
  read(id: string): Promise<Iterable<TreeRow>> {
    if (this.#failure) return Promise.reject(this.#failure);
    const known = this.#small.get(id);
    if (known) return Promise.resolve(this.#rows(known));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ id, resolve, reject });
      this.#requests.write(`${id}\n`);
    });
  }

  async close(): Promise<void> {
    this.#requests.end();
    await this.#ended;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes > 0 && this.#waiting.length > 0) {
      if (this.#wanted === 0) {
        const head = this.#joined();
        const end = head.indexOf(10);
        if (end < 0) return;
        const [type, size = ''] = head.toString('latin1', 0, end).split(' ');
        if (type !== 'tree' || !/^\d+$/.test(size)) throw rejected('a tree is missing, or is not one');
        this.#wanted = end + 1 + Number(size) + 1;
      }
      if (this.#bytes < this.#wanted) return;
      const all = this.#joined();
      const body = all.subarray(all.indexOf(10) + 1, this.#wanted - 1);
      this.#chunks = [all.subarray(this.#wanted)];
      this.#bytes -= this.#wanted;
      this.#wanted = 0;
      const { id, resolve } = this.#waiting.shift()!;
      this.#remember(id, body);
      resolve(this.#rows(body));
    }
  }

  #rows(body: Buffer): Iterable<TreeRow> {
    return { [Symbol.iterator]: () => parseTree(body, this.#idBytes) };
  }

  /** The same small tree may stand in a hundred thousand places. */
  #remember(id: string, body: Buffer): void {
    if (body.length > SMALL_BYTES) return;
    if (this.#small.size >= SMALL_COUNT) this.#small.clear();
    this.#small.set(id, Buffer.from(body));
  }

  #joined(): Buffer {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0]!;
  }
}

/** The content of a tree object: `mode SP name NUL id`, again and again. */
export function* parseTree(body: Buffer, idBytes: number): Generator<TreeRow> {
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(32, at);
    const nul = body.indexOf(0, space);
    const next = nul + 1 + idBytes;
    if (space < 0 || nul < 0 || next > body.length) throw rejected('a tree is malformed');
    const mode = body.toString('latin1', at, space).padStart(6, '0');
    const name = body.toString('latin1', space + 1, nul);
    yield { mode, name, id: body.toString('hex', nul + 1, next) };
    at = next;
  }
}
