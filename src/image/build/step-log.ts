// What the steps of a build say, line by line: into a log on disk, and to whoever watches. A guest's words: control
// characters are made visible, secrets are cut out, and a flood ends at a limit.

import { type FileHandle, mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import { type BuildSecrets, scrub } from './secrets.ts';

const LOG_MAX_BYTES = 64 * 1024 ** 2;
const LINE_MAX_CHARS = 2000;
const TAIL_LINES = 20;

export class StepLog {
  readonly #file: FileHandle;
  readonly #secrets: BuildSecrets;
  readonly #onLine: (line: string) => void;
  readonly #partial = { stdout: '', stderr: '' };
  #tail: string[] = [];
  /** Of the whole log. */
  #bytes: number;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(
    file: FileHandle,
    bytes: number,
    secrets: BuildSecrets,
    onLine: (line: string) => void,
  ) {
    this.#file = file;
    this.#bytes = bytes;
    this.#secrets = secrets;
    this.#onLine = onLine;
  }

  /** `flags`: `w` for a new log, `a` for one that goes on; one that is full begins anew. */
  static async open(
    path: string,
    secrets: BuildSecrets,
    onLine: (line: string) => void,
    flags: 'w' | 'a' = 'w',
  ): Promise<StepLog> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const has = flags === 'a' ? await stat(path).catch(() => undefined) : undefined;
    const bytes = has && has.size < LOG_MAX_BYTES ? has.size : 0;
    return new StepLog(await open(path, bytes > 0 ? 'a' : 'w', 0o600), bytes, secrets, onLine);
  }

  /** The last lines of the step that runs. */
  get tail(): readonly string[] {
    return this.#tail;
  }

  begin(title: string): void {
    this.#tail = [];
    this.#write(`# ${title}`);
  }

  async say(stream: 'stdout' | 'stderr', data: Buffer): Promise<void> {
    // A line that is rewritten in place, as progress bars do, is told once.
    const lines = (this.#partial[stream] + data.toString('utf8')).split(/\r?\n|\r/);
    this.#partial[stream] = lines.pop()!.slice(-4 * LINE_MAX_CHARS);
    for (const line of lines) this.#line(line);
    await this.#writing;
  }

  /** A line that is ours. */
  tell(line: string): void {
    this.#line(line);
  }

  /** The step has ended: what has no newline is a line as well. */
  async flush(): Promise<void> {
    for (const stream of ['stdout', 'stderr'] as const) {
      if (this.#partial[stream] !== '') this.#line(this.#partial[stream]);
      this.#partial[stream] = '';
    }
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => {});
    await this.#file.close();
  }

  #line(text: string): void {
    const line = sanitizeLine(scrub(text, this.#secrets), LINE_MAX_CHARS);
    if (line === '') return;
    this.#tail = [...this.#tail.slice(1 - TAIL_LINES), line];
    this.#write(line);
    this.#onLine(line);
  }

  #write(line: string): void {
    this.#bytes += Buffer.byteLength(line) + 1;
    if (this.#bytes > LOG_MAX_BYTES) return;
    this.#writing = this.#writing.then(() => this.#file.write(`${line}\n`)).catch(() => {});
  }
}
