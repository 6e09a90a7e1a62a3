// The audit of a sandbox from its oldest record on, and what is written meanwhile. The door's process appends and
// rotates; this looks again now and then, and goes by the numbers of records, so none is told twice or left out.

import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AuditRecord, MAX_LINE_BYTES, openRecord } from './chain.ts';
import { linesOf } from './lines.ts';
import { readAudit } from './read.ts';

const LOOK_EVERY_MS = 200;

/** Ends when `signal` is aborted. */
export async function* followAudit(
  path: string,
  signal: AbortSignal,
  everyMs = LOOK_EVERY_MS,
): AsyncGenerator<AuditRecord> {
  let last = 0;
  let ino = 0;
  /** In the newest file: behind the last whole line that was read. */
  let offset = 0;
  while (!signal.aborted) {
    const now = await stat(path).catch(() => null);
    if (now && now.ino !== ino) {
      // It is new, and others may have come and gone meanwhile: all of them, by number.
      ino = now.ino;
      offset = 0;
      for await (const record of readAudit(path)) {
        if (record.seq <= last) continue;
        last = record.seq;
        yield record;
      }
    }
    if (now && now.size > offset)
      for await (const { text, end, open } of linesOf(path, offset)) {
        // What has no newline yet is still being written.
        if (open && text.length <= MAX_LINE_BYTES) break;
        offset = end;
        const record = openRecord(text, null);
        if ('broken' in record || record.seq <= last) continue;
        last = record.seq;
        yield record;
      }
    await sleep(everyMs, undefined, { signal }).catch(() => {});
  }
}
