// One line of an audit file and how lines hang together: each names the hash of the one before, so that a line that
// was changed, left out or put in is found. Pure. Lines hold strings of a guest: all but printable ASCII is escaped,
// so that a terminal that shows the file obeys none of it.

import { createHash } from 'node:crypto';
import type { AuditEvent } from './event.ts';

/** The hash before the first record of a sandbox. */
export const GENESIS = '0'.repeat(64);
/** A longer line is no record: strings of a guest are cut far below. */
export const MAX_LINE_BYTES = 64 * 1024;
const MAX_STRING_CHARS = 4096;

export interface Position {
  seq: number;
  /** Of the record with that number; `GENESIS` for 0. */
  hash: string;
}

export type AuditRecord = AuditEvent & { time: string; seq: number; prev: string; hash: string };

/** The line for the record after `last`, without a newline. */
export function sealRecord(event: AuditEvent, time: string, last: Position): { line: string; at: Position } {
  const seq = last.seq + 1;
  const body = safeJson({ seq, time, ...event, prev: last.hash });
  const hash = hashOf(body);
  return { line: `${body.slice(0, -1)},"hash":"${hash}"}`, at: { seq, hash } };
}

export type Broken = { line: number; why: string };

/**
 * Reads one line against the position before it. `null` for a position takes whatever comes first: the oldest file
 * that is kept need not be the first that was.
 */
export function openRecord(line: string, before: Position | null): AuditRecord | { broken: string } {
  const match = /,"hash":"([0-9a-f]{64})"\}$/.exec(line);
  if (line.length > MAX_LINE_BYTES || !match) return { broken: 'is no record' };
  if (hashOf(`${line.slice(0, match.index)}}`) !== match[1]) return { broken: 'was changed' };
  const record = parseRecord(line);
  if (!record) return { broken: 'is no record' };
  if (before && record.prev !== before.hash) return { broken: 'does not follow the record before it' };
  if (before && record.seq !== before.seq + 1)
    return { broken: `has number ${record.seq} after ${before.seq}` };
  return record;
}

/**
 * A file may have been written by anybody, with hashes that fit: only what `sealRecord` could have written is a record,
 * so that who reads it need not doubt its fields, and no text has two readings.
 */
function parseRecord(line: string): AuditRecord | null {
  let record: AuditRecord;
  try {
    record = JSON.parse(line);
  } catch {
    return null;
  }
  if (!isShaped(record as never)) return null;
  const { seq, time, prev, hash, ...event } = record;
  return printable(JSON.stringify({ seq, time, ...event, prev, hash })) === line ? record : null;
}

const isText = (value: unknown) => typeof value === 'string';
const isNumber = (value: unknown) => typeof value === 'number';
const orNull = (is: (value: unknown) => boolean) => (value: unknown) => value === null || is(value);
const orNone = (is: (value: unknown) => boolean) => (value: unknown) => value === undefined || is(value);
const oneOf = (...words: unknown[]) => words.includes.bind(words) as (value: unknown) => boolean;

const SHAPE: Record<string, (value: unknown) => boolean> = {
  seq: (value) => Number.isSafeInteger(value) && (value as number) > 0,
  time: (value) => isText(value) && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value as string),
  prev: (value) => isText(value) && /^[0-9a-f]{64}$/.test(value as string),
  kind: oneOf('dns', 'flow', 'request', 'notice'),
  decision: oneOf('allow', 'deny', 'ask'),
  flow: orNull(isNumber),
  host: isText,
  port: orNull(isNumber),
  ruleId: orNull(isText),
  reason: orNull(isText),
  begun: oneOf(undefined, true),
  cached: oneOf(undefined, true),
  protocol: orNone(orNull(isText)),
  upstream: orNone(orNull(isText)),
  guest: orNone((value) => typeof value === 'object'),
  request: orNone(isNumber),
  status: orNone(orNull(isNumber)),
  bytesUp: orNone(isNumber),
  bytesDown: orNone(isNumber),
  durationMs: orNone(isNumber),
  secrets: orNone((value) => Array.isArray(value) && value.every(isText)),
  type: orNone(isText),
  answer: orNone(isText),
  method: orNone(isText),
  path: orNone(isText),
  code: orNone(isText),
  forgotten: orNone(isForgotten),
};

function isForgotten(value: unknown): boolean {
  const { first, last, denied, others, through } = Object(value) as Record<string, unknown>;
  return [first, last, denied, others].every(isNumber) && Array.isArray(through) && through.every(isThrough);
}

function isThrough(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 4) return false;
  const [host, port, times, bytesUp] = value;
  return isText(host) && orNull(isNumber)(port) && isNumber(times) && isNumber(bytesUp);
}

function isShaped(record: Record<string, unknown>): boolean {
  return Object.entries(SHAPE).every(([name, fits]) => fits(record[name]));
}

function hashOf(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}

/** JSON in printable ASCII, with long strings cut. */
function safeJson(value: object): string {
  const text = JSON.stringify(value, (_, field) =>
    typeof field === 'string' && field.length > MAX_STRING_CHARS
      ? `${field.slice(0, MAX_STRING_CHARS)}[cut]`
      : field,
  );
  return printable(text);
}

function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
