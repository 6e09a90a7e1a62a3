// The file behind the synthetic names of one sandbox: a line `offset name` for each address given out, appended. A
// door that starts anew knows by it the addresses that programs hold. The names were chosen by a guest: each line is
// read as strictly as a question. Limits: 64 MiB of file; a torn or foreign line is skipped.

import {
  closeSync,
  fdatasyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { temporaryBeside } from '../../host/atomic-file.ts';
import { canonicalHost } from './canonical-host.ts';

export interface NameRecord {
  offset: number;
  name: string;
}

const MAX_FILE_BYTES = 64 * 1024 * 1024;
const LINE = /^(\d{1,6}) ([a-z0-9._-]{1,253})$/;

export class NameStore {
  readonly #path: string;
  #file: number | null = null;
  #bytes = 0;
  /** Lines in the file, live or not. */
  lines = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Oldest first; a file that is not there has none. */
  read(): NameRecord[] {
    let text: string;
    try {
      if (statSync(this.#path).size > MAX_FILE_BYTES) return [];
      text = readFileSync(this.#path, 'latin1');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
    const records: NameRecord[] = [];
    // What follows the last newline was torn, even if it looks whole.
    for (const line of text.split('\n').slice(0, -1)) {
      const [, offset, name] = LINE.exec(line) ?? [];
      if (offset === undefined || name === undefined) continue;
      const host = canonicalHost(name);
      if (!('refused' in host) && host.kind === 'name' && host.name === name)
        records.push({ offset: Number(offset), name });
    }
    return records;
  }

  /** Replaces the file by these lines, whole or not at all. */
  rewrite(records: Iterable<NameRecord>): void {
    const temporary = temporaryBeside(this.#path);
    const file = openSync(temporary, 'wx', 0o600);
    let lines = 0;
    let bytes = 0;
    try {
      const parts: string[] = [];
      for (const { offset, name } of records) {
        parts.push(`${offset} ${name}\n`);
        lines++;
      }
      const data = Buffer.from(parts.join(''), 'latin1');
      while (bytes < data.length) bytes += writeSync(file, data, bytes, data.length - bytes, bytes);
      fdatasyncSync(file);
      renameSync(temporary, this.#path);
    } catch (error) {
      closeSync(file);
      rmSync(temporary, { force: true });
      throw error;
    }
    this.close();
    this.#file = file;
    this.#bytes = bytes;
    this.lines = lines;
  }

  /** In the kernel's hands when it returns; false, and nothing changed, when the disk takes no more. */
  append({ offset, name }: NameRecord): boolean {
    if (this.#file === null) return false;
    const data = Buffer.from(`${offset} ${name}\n`, 'latin1');
    try {
      const written = writeSync(this.#file, data, 0, data.length, this.#bytes);
      if (written === data.length) {
        this.#bytes += written;
        this.lines++;
        return true;
      }
    } catch {
      // Told by the answer.
    }
    this.#cut();
    return false;
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  /** Takes half a line away; when even that fails, nothing may be appended any more. */
  #cut(): void {
    try {
      ftruncateSync(this.#file!, this.#bytes);
    } catch {
      this.close();
    }
  }
}
