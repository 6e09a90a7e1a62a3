// The audit of one sandbox on disk: `audit.jsonl` and, once that is full, `audit.1.jsonl` (the newest of the old) and
// so on. One process writes it. A write that fails is told to who asked, whose flow is then denied: no flow without
// its record.

import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { temporaryBeside } from '../../host/atomic-file.ts';
import { type AuditRecord, GENESIS, openRecord, type Position, sealRecord } from './chain.ts';
import type { Audit, AuditEvent } from './event.ts';
import { forgottenWith } from './forgotten.ts';
import { Head, readHead } from './head.ts';

export interface AuditLimits {
  fileBytes: number;
  /** How many full files are kept beside the one in use. */
  keptFiles: number;
}

export const AUDIT_LIMITS: AuditLimits = { fileBytes: 16 * 1024 * 1024, keptFiles: 8 };
const TAIL_BYTES = 128 * 1024;

interface Waiting {
  event: AuditEvent;
  resolve: () => void;
  reject: (error: Error) => void;
}

export class AuditFile implements Audit {
  readonly #path: string;
  readonly #limits: AuditLimits;
  readonly #now: () => Date;
  readonly #head: Head;
  #file: FileHandle;
  #bytes: number;
  /** Of the last record that is on disk. */
  #at: Position;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  /** A record was cut on disk and could not be taken back: nothing can follow it. */
  #broken: Error | undefined;

  private constructor(
    path: string,
    limits: AuditLimits,
    now: () => Date,
    file: FileHandle,
    bytes: number,
    at: Position,
  ) {
    this.#path = path;
    this.#limits = limits;
    this.#now = now;
    this.#head = new Head(path, () => this.#file.datasync());
    this.#file = file;
    this.#bytes = bytes;
    this.#at = at;
  }

  /**
   * A last line that was cut by a crash was answered to nobody: it is taken off. Of records that were written and are not
   * there, the next one is the next all the same: the chain shows where they are missing, for good.
   */
  static async open(path: string, limits = AUDIT_LIMITS, now = () => new Date()): Promise<AuditFile> {
    const file = await open(
      path,
      constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW,
      0o600,
    );
    try {
      const { at, bytes } = await lastRecord(file);
      const there = bytes === 0 ? await positionBefore(path) : at;
      const head = await readHead(path);
      const isBehind = head && 'seq' in head && head.seq >= there.seq && head.hash !== there.hash;
      const before = isBehind ? head : there;
      return new AuditFile(path, limits, now, file, bytes, before);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** The record that was written last. */
  get position(): Position {
    return this.#at;
  }

  write(event: AuditEvent): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ event, resolve, reject });
    this.#writing ??= this.#drain();
    return promise;
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#head.close();
    await this.#file.close();
  }

  /** What came while the last write went on goes out in one. */
  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      await Promise.resolve();
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#append(batch.map(({ event }) => event));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error as Error);
      }
    }
    // In the same turn as the last look: what comes later begins a new one.
    this.#writing = undefined;
  }

  /** All of it or nothing: what a full disk let through is taken back. */
  async #append(events: AuditEvent[]): Promise<void> {
    if (this.#broken) throw this.#broken;
    let sealed = this.#seal(events);
    if (this.#bytes > 0 && this.#bytes + sealed.data.length > this.#limits.fileBytes) {
      await this.#rotate();
      sealed = this.#seal(events);
    }
    await this.#write(sealed);
  }

  /** The last record of each file tells of all that went before: written first, so that a crash loses nothing of it. */
  async #remember(): Promise<void> {
    const told = await lastOf(rotated(this.#path, 1));
    const before = told?.kind === 'notice' ? (told.forgotten ?? null) : null;
    const forgotten = await forgottenWith(rotated(this.#path, this.#limits.keptFiles), before);
    if (forgotten) await this.#write(this.#seal([forgotten]));
  }

  #seal(events: AuditEvent[]): { data: Buffer; at: Position } {
    let at = this.#at;
    const lines = events.map((event) => {
      const sealed = sealRecord(event, this.#now().toISOString(), at);
      at = sealed.at;
      return `${sealed.line}\n`;
    });
    return { data: Buffer.from(lines.join('')), at };
  }

  async #write({ data, at }: { data: Buffer; at: Position }): Promise<void> {
    try {
      await this.#file.writeFile(data);
    } catch (error) {
      await this.#file.truncate(this.#bytes).catch(() => {
        this.#broken = error as Error;
      });
      throw error;
    }
    this.#bytes += data.length;
    this.#at = at;
    this.#head.note(at);
  }

  /** What may fail goes first: a file that cannot be made must not cost those that are there their places. */
  async #rotate(): Promise<void> {
    const beside = temporaryBeside(this.#path);
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND;
    const fresh = await open(beside, flags, 0o600);
    try {
      const free = await this.#firstFree();
      const isFull = free > this.#limits.keptFiles;
      if (isFull) await this.#remember();
      // The head must not be on the disk before them.
      await this.#file.datasync();
      if (isFull) await rm(rotated(this.#path, free - 1));
      for (let to = isFull ? free - 1 : free; to > 0; to--)
        await rename(rotated(this.#path, to - 1), rotated(this.#path, to));
      await rename(beside, this.#path);
    } catch (error) {
      await fresh.close();
      await rm(beside, { force: true });
      throw error;
    }
    await this.#file.close().catch(() => {});
    this.#file = fresh;
    this.#bytes = 0;
  }

  /** Where an earlier try stopped, there is one, and nothing goes for another try. */
  async #firstFree(): Promise<number> {
    let free = 0;
    while (free <= this.#limits.keptFiles && (await stat(rotated(this.#path, free)).catch(() => null)))
      free++;
    return free;
  }
}

/** `audit.jsonl` for 0, `audit.3.jsonl` for 3. */
export function rotated(path: string, nr: number): string {
  return nr === 0 ? path : path.replace(/\.jsonl$/, `.${nr}.jsonl`);
}

/** All files that are there, oldest first. */
export async function auditFiles(path: string, keptFiles = AUDIT_LIMITS.keptFiles): Promise<string[]> {
  const files: string[] = [];
  for (let nr = keptFiles; nr >= 0; nr--) {
    const file = rotated(path, nr);
    if (await stat(file).catch(() => undefined)) files.push(file);
  }
  return files;
}

async function lastRecord(file: FileHandle): Promise<{ at: Position; bytes: number }> {
  const { record, bytes, size } = await lastLine(file);
  if (bytes < size) await file.truncate(bytes);
  if (record === null) return { at: { seq: 0, hash: GENESIS }, bytes };
  if ('broken' in record) throw new Error(`the last record ${record.broken}`);
  return { at: { seq: record.seq, hash: record.hash }, bytes };
}

/** `bytes`: up to its end; what comes after is no line. Null: there is none. */
async function lastLine(file: FileHandle) {
  const { size } = await file.stat();
  const start = Math.max(0, size - TAIL_BYTES);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
  const tail = buffer.subarray(0, bytesRead);
  const end = tail.lastIndexOf(0x0a) + 1;
  if (end === 0 && start > 0) throw new Error('the last record is no record');
  const line = tail.subarray(tail.lastIndexOf(0x0a, end - 2) + 1, end - 1).toString('latin1');
  return { record: end === 0 ? null : openRecord(line, null), bytes: start + end, size };
}

async function lastOf(path: string): Promise<AuditRecord | null> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { record } = await lastLine(file);
    return record === null || 'broken' in record ? null : record;
  } finally {
    await file.close();
  }
}

/** A file that was rotated away just before a crash holds the last record. */
async function positionBefore(path: string): Promise<Position> {
  const older = await open(rotated(path, 1), constants.O_RDWR).catch(() => undefined);
  if (!older) return { seq: 0, hash: GENESIS };
  try {
    return (await lastRecord(older)).at;
  } finally {
    await older.close();
  }
}
