// The audit of a sandbox from its oldest record on, and what is written meanwhile. The door's process appends and
// rotates; this looks again now and then, and goes by the numbers of records, so none is told twice or left out.

import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AuditRecord, MAX_LINE_BYTES, openRecord } from './chain.ts';
import { linesOf } from './lines.ts';
import { closeAll, type OpenedFile, openAudit } from './open-files.ts';

const LOOK_EVERY_MS = 200;

/** Ends when `signal` is aborted. */
export async function* followAudit(
  path: string,
  signal: AbortSignal,
  everyMs = LOOK_EVERY_MS,
): AsyncGenerator<AuditRecord> {
  let last = 0;
  /** Oldest first; of the newest, what comes is read too. */
  let files: Reading[] = [];
  try {
    while (!signal.aborted) {
      // Before it is read: of a file that has been replaced by now, all is there.
      const now = await stat(path).catch(() => null);
      for (const file of files) {
        for await (const record of more(file)) {
          if (record.seq <= last) continue;
          last = record.seq;
          yield record;
        }
      }
      await closeAll(files.splice(0, files.length - 1));
      if (now && now.ino !== files[0]?.ino) {
        await closeAll(files);
        files = (await openAudit(path)).map((file) => ({ ...file, offset: 0 }));
      } else await sleep(everyMs, undefined, { signal }).catch(() => {});
    }
  } finally {
    await closeAll(files);
  }
}

interface Reading extends OpenedFile {
  /** Behind the last whole line that was read. */
  offset: number;
}

async function* more(file: Reading): AsyncGenerator<AuditRecord> {
  for await (const { text, end, open } of linesOf(file.handle, file.offset)) {
    // What has no newline yet is still being written.
    if (open && text.length <= MAX_LINE_BYTES) return;
    file.offset = end;
    const record = openRecord(text, null);
    if (!('broken' in record)) yield record;
  }
}
