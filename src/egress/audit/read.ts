// Reads the audit of a sandbox back: to show it, and to verify that nobody changed it.

import { type AuditRecord, MAX_LINE_BYTES, openRecord, type Position } from './chain.ts';
import { headFile, readHead } from './head.ts';
import { linesOf } from './lines.ts';
import { closeAll, type OpenedFile, openAudit } from './open-files.ts';

/**
 * Every record that parses, oldest first; whole or not is `verifyAudit`'s question. `onOther`: what a line is that was
 * left out.
 */
export async function* readAudit(
  path: string,
  onOther: (why: string) => void = () => {},
): AsyncGenerator<AuditRecord> {
  const opened = await openAudit(path);
  try {
    for (const file of opened) {
      for await (const { text, open } of linesOf(file.handle)) {
        const record = openRecord(text, null);
        if (!('broken' in record)) yield record;
        else if (!open || file.path !== path || !isBegun(text)) onOther(record.broken);
      }
    }
  } finally {
    await closeAll(opened);
  }
}

/** The number from which on there are `count` that count; 0 when there are no more than that. */
export async function newestFrom(
  path: string,
  count: number,
  counts: (record: AuditRecord) => boolean,
): Promise<number> {
  const numbers: number[] = [];
  let at = 0;
  for await (const record of readAudit(path)) if (counts(record)) numbers[at++ % count] = record.seq;
  return at > count ? numbers[at % count]! : 0;
}

/** The newest that parses; null when there is none. */
export async function lastAuditRecord(path: string): Promise<Position | null> {
  const opened = await openAudit(path);
  try {
    for (const { handle } of opened.toReversed()) {
      let last: Position | null = null;
      for await (const { text } of linesOf(handle)) {
        const record = openRecord(text, null);
        if (!('broken' in record)) last = { seq: record.seq, hash: record.hash };
      }
      if (last) return last;
    }
    return null;
  } finally {
    await closeAll(opened);
  }
}

export interface AuditVerdict {
  records: number;
  /** Number of the first record that is kept; older ones went with their file. */
  first: number | null;
  head: Position | null;
  /** `line` 0: the file as a whole. */
  broken: { file: string; line: number; why: string } | null;
}

const BEGIN = '{"seq":';

/** Follows the chain from the oldest record that is kept to the newest, which must be as new as the head that was noted. */
export async function verifyAudit(path: string): Promise<AuditVerdict> {
  // Before the records: it is never ahead of them.
  const written = await readHead(path);
  const opened = await openAudit(path);
  try {
    return await follow(path, opened, written);
  } finally {
    await closeAll(opened);
  }
}

async function follow(
  path: string,
  files: readonly OpenedFile[],
  written: Awaited<ReturnType<typeof readHead>>,
): Promise<AuditVerdict> {
  let at: Position | null = null;
  let first: number | null = null;
  let forgotten = 0;
  let records = 0;
  let nr = 0;
  const verdict = (file: string, line: number, why: string | null) => {
    return { records, first, head: at, broken: why === null ? null : { file, line, why } };
  };
  for (const { path: file, handle } of files) {
    nr = 0;
    for await (const { text, open } of linesOf(handle)) {
      nr++;
      const record = openRecord(text, at);
      if ('broken' in record) {
        if (open && file === path && isBegun(text)) break;
        return verdict(file, nr, record.broken);
      }
      if (written && 'seq' in written && record.seq === written.seq && record.hash !== written.hash)
        return verdict(file, nr, 'is not the record that was written with this number');
      if (record.kind === 'notice') forgotten = Math.max(forgotten, record.forgotten?.last ?? 0);
      first ??= record.seq;
      at = { seq: record.seq, hash: record.hash };
      records++;
    }
  }
  if (written && 'broken' in written) return verdict(headFile(path), 0, written.broken);
  if (first !== null && first > forgotten + 1)
    return verdict(files[0]!.path, 1, `has number ${first}, and nothing tells of those before`);
  if (written && written.seq > (at?.seq ?? 0))
    return at === null
      ? verdict(path, 0, `has no record, though number ${written.seq} was written`)
      : verdict(files.at(-1)!.path, nr, `is the last, though number ${written.seq} was written`);
  return verdict(path, 0, null);
}

/** The door is writing it, or was ended while it did: it was answered to nobody. */
function isBegun(text: string): boolean {
  return (text.startsWith(BEGIN) || BEGIN.startsWith(text)) && text.length <= MAX_LINE_BYTES;
}
