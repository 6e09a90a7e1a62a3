// The audit of a sandbox from its oldest record on, and what is written meanwhile. The door's process appends and
// rotates; this looks again now and then, and goes by the numbers of records, so none is told twice or left out.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AuditRecord, openRecord } from './chain.ts';
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
      for await (const { line, bytes } of linesFrom(path, offset)) {
        offset += bytes;
        const record = openRecord(line, null);
        if ('broken' in record || record.seq <= last) continue;
        last = record.seq;
        yield record;
      }
    await sleep(everyMs, undefined, { signal }).catch(() => {});
  }
}

/** Whole lines only. */
async function* linesFrom(path: string, start: number): AsyncGenerator<{ line: string; bytes: number }> {
  let rest = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { start }) as AsyncIterable<Buffer>) {
    rest = Buffer.concat([rest, chunk]);
    let from = 0;
    for (let at = rest.indexOf(0x0a); at >= 0; at = rest.indexOf(0x0a, from)) {
      yield { line: rest.toString('latin1', from, at), bytes: at + 1 - from };
      from = at + 1;
    }
    rest = rest.subarray(from);
  }
}
