// The audit of a sandbox from its oldest record on, and what is written meanwhile. The door's process appends and
// rotates; this looks again now and then, and goes by the numbers of records, so none is told twice or left out. What a
// full disk let through in part is taken back, and may have been told by then: what comes in its place is told too.

import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AuditRecord, MAX_LINE_BYTES, openRecord } from './chain.ts';
import { linesOf } from './lines.ts';
import { closeAll, type OpenedFile, openAudit } from './open-files.ts';

const LOOK_EVERY_MS = 200;
/** Of the records that were told last: more than are written at once. */
const MOST_REMEMBERED = 4096;

/** Ends when `signal` is aborted. */
export async function* followAudit(
  path: string,
  signal: AbortSignal,
  everyMs = LOOK_EVERY_MS,
): AsyncGenerator<AuditRecord> {
  const told = new Told();
  /** Oldest first; of the newest, what comes is read too. */
  let files: Reading[] = [];
  try {
    while (!signal.aborted) {
      // Before it is read: of a file that has been replaced by now, all is there.
      const now = await stat(path).catch(() => null);
      for (const file of files) {
        for await (const record of more(file)) {
          if (told.isNew(record)) yield record;
        }
      }
      await closeAll(files.splice(0, files.length - 1));
      if (now && now.ino !== files[0]?.ino) {
        await closeAll(files);
        files = (await openAudit(path)).map((file) => ({ ...file, offset: 0, hash: '' }));
      } else await sleep(everyMs, undefined, { signal }).catch(() => {});
    }
  } finally {
    await closeAll(files);
  }
}

interface Reading extends OpenedFile {
  /** Behind the last whole line that was read. */
  offset: number;
  /** Of the record before it. */
  hash: string;
}

class Told {
  #last = 0;
  readonly #hashes = new Map<number, string>();

  isNew({ seq, hash }: AuditRecord): boolean {
    const before = this.#hashes.get(seq);
    if (before === hash || (before === undefined && seq <= this.#last)) return false;
    for (let taken = seq; taken <= this.#last; taken++) this.#hashes.delete(taken);
    this.#hashes.set(seq, hash);
    this.#last = seq;
    if (this.#hashes.size > MOST_REMEMBERED) this.#hashes.delete(this.#hashes.keys().next().value!);
    return true;
  }
}

/** What was behind the offset, or before it, is not there any more. */
async function wasCut({ handle, offset, hash }: Reading): Promise<boolean> {
  const { size } = await handle.stat();
  if (offset === 0 || size <= offset) return size < offset;
  const next = Buffer.alloc(Math.min(size - offset, MAX_LINE_BYTES));
  const { bytesRead } = await handle.read(next, 0, next.length, offset);
  const end = next.subarray(0, bytesRead).indexOf(0x0a);
  if (end < 0) return false;
  const record = openRecord(next.toString('latin1', 0, end), null);
  return 'broken' in record || record.prev !== hash;
}

async function* more(file: Reading): AsyncGenerator<AuditRecord> {
  if (await wasCut(file)) file.offset = 0;
  for await (const { text, end, open } of linesOf(file.handle, file.offset)) {
    // What has no newline yet is still being written.
    if (open && text.length <= MAX_LINE_BYTES) return;
    file.offset = end;
    const record = openRecord(text, null);
    if ('broken' in record) continue;
    file.hash = record.hash;
    yield record;
  }
}
