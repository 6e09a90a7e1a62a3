// Reads the audit of a sandbox back: to show it, and to verify that nobody changed it.

import { auditFiles } from './audit-file.ts';
import { type AuditRecord, openRecord, type Position } from './chain.ts';
import { linesOf } from './lines.ts';

/** Every record that parses, oldest first; whole or not is `verifyAudit`'s question. */
export async function* readAudit(path: string): AsyncGenerator<AuditRecord> {
  for (const file of await auditFiles(path)) {
    for await (const { text } of linesOf(file)) {
      const record = openRecord(text, null);
      if (!('broken' in record)) yield record;
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
  broken: { file: string; line: number; why: string } | null;
}

/** Follows the chain from the oldest record that is kept to the newest. */
export async function verifyAudit(path: string): Promise<AuditVerdict> {
  let at: Position | null = null;
  let first: number | null = null;
  let records = 0;
  for (const file of await auditFiles(path)) {
    let nr = 0;
    for await (const { text } of linesOf(file)) {
      nr++;
      const record = openRecord(text, at);
      if ('broken' in record)
        return { records, first, head: at, broken: { file, line: nr, why: record.broken } };
      first ??= record.seq;
      at = { seq: record.seq, hash: record.hash };
      records++;
    }
  }
  return { records, first, head: at, broken: null };
}
