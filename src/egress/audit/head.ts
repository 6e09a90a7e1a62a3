// Which record was the last: kept beside the audit, so that an end that was cut off is missed. It is written after the
// records that it speaks of are on disk, and a second late: it may be behind them, and never ahead, whenever a process or a
// computer ends.

import { readFile } from 'node:fs/promises';
import { writeJsonAtomic } from '../../host/atomic-file.ts';
import type { Position } from './chain.ts';

export const HEAD_LATE_MS = 1_000;

/** `audit-head.json` for `audit.jsonl`. */
export function headFile(path: string): string {
  return path.replace(/(?:\.jsonl)?$/, '-head.json');
}

/** Null when there is none yet. */
export async function readHead(path: string): Promise<Position | null | { broken: string }> {
  let text: string;
  try {
    text = await readFile(headFile(path), 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? null : { broken: `cannot be read (${code})` };
  }
  const [, seq, hash] = /^\{\s*"seq": ?(\d{1,15}),\s*"hash": ?"([0-9a-f]{64})"\s*\}\s*$/.exec(text) ?? [];
  return hash === undefined ? { broken: 'is no head of an audit' } : { seq: Number(seq), hash };
}

export class Head {
  readonly #path: string;
  /** Has what was written so far brought to the disk. */
  readonly #sync: () => Promise<void>;
  #at: Position | null = null;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string, sync: () => Promise<void>) {
    this.#path = path;
    this.#sync = sync;
  }

  /** The record is written. */
  note(at: Position): void {
    this.#at = at;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#writing = this.#writing.then(() => this.#write());
    }, HEAD_LATE_MS).unref();
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#writing;
    await this.#write();
  }

  async #write(): Promise<void> {
    const at = this.#at;
    if (at === null) return;
    this.#at = null;
    try {
      await this.#sync();
      await writeJsonAtomic(headFile(this.#path), at);
    } catch {
      // It stays behind until the next record. What cannot be written down at all is denied anyway.
      this.#at ??= at;
    }
  }
}
