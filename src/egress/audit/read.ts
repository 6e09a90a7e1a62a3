// Reads the audit of a sandbox back: to show it, and to verify that nobody changed it.

import { stat } from 'node:fs/promises';
import { auditFiles } from './audit-file.ts';
import { type AuditRecord, MAX_LINE_BYTES, openRecord, type Position } from './chain.ts';
import { headFile, readHead } from './head.ts';
import { linesOf } from './lines.ts';

/**
 * Every record that parses, oldest first; whole or not is `verifyAudit`'s question. `onOther`: what a line is that was
 * left out.
 */
export async function* readAudit(
  path: string,
  onOther: (why: string) => void = () => {},
): AsyncGenerator<AuditRecord> {
  for (const file of await auditFiles(path)) {
    for await (const { text, open } of linesOf(file)) {
      const record = openRecord(text, null);
      if (!('broken' in record)) yield record;
      else if (!open || file !== path || !isBegun(text)) onOther(record.broken);
    }
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
  for (const file of (await auditFiles(path)).reverse()) {
    let last: Position | null = null;
    for await (const { text } of linesOf(file)) {
      const record = openRecord(text, null);
      if (!('broken' in record)) last = { seq: record.seq, hash: record.hash };
    }
    if (last) return last;
  }
  return null;
}

export interface AuditVerdict {
  records: number;
  /** Number of the first record that is kept; older ones went with their file. */
  first: number | null;
  head: Position | null;
  /** `line` 0: the file as a whole. */
  broken: { file: string; line: number; why: string } | null;
}

const TRIES = 3;
const BEGIN = '{"seq":';

/** Follows the chain from the oldest record that is kept to the newest, which must be as new as the head that was noted. */
export async function verifyAudit(path: string): Promise<AuditVerdict> {
  for (let tries = 1; ; tries++) {
    const before = await standing(path);
    const verdict = await follow(path);
    // The door's process may have rotated them meanwhile.
    if (!verdict.broken || tries === TRIES || before === (await standing(path))) return verdict;
  }
}

async function follow(path: string): Promise<AuditVerdict> {
  // Before the records: it is never ahead of them.
  const written = await readHead(path);
  let at: Position | null = null;
  let first: number | null = null;
  let forgotten = 0;
  let records = 0;
  let nr = 0;
  const files = await auditFiles(path);
  const verdict = (file: string, line: number, why: string | null) => {
    return { records, first, head: at, broken: why === null ? null : { file, line, why } };
  };
  for (const file of files) {
    nr = 0;
    for await (const { text, open } of linesOf(file)) {
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
    return verdict(files[0]!, 1, `has number ${first}, and nothing tells of those before`);
  if (written && written.seq > (at?.seq ?? 0))
    return at === null
      ? verdict(path, 0, `has no record, though number ${written.seq} was written`)
      : verdict(files.at(-1)!, nr, `is the last, though number ${written.seq} was written`);
  return verdict(path, 0, null);
}

/** The door is writing it, or was ended while it did: it was answered to nobody. */
function isBegun(text: string): boolean {
  return (text.startsWith(BEGIN) || BEGIN.startsWith(text)) && text.length <= MAX_LINE_BYTES;
}

async function standing(path: string): Promise<string> {
  const files = await auditFiles(path);
  return (await Promise.all(files.map((file) => stat(file).catch(() => null)))).map((at) => at?.ino).join();
}
