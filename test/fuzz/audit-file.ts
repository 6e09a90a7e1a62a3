// Audit files that somebody else wrote: read, verified and continued, with the same answer each way. A record is what
// could have been written here, and a line of it is safe to print. Lines get hashes that fit, or most would stop there.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AuditLines } from '../../src/cli/audit-line.ts';
import { AuditFile } from '../../src/egress/audit/audit-file.ts';
import {
  type AuditRecord,
  GENESIS,
  MAX_LINE_BYTES,
  openRecord,
  sealRecord,
} from '../../src/egress/audit/chain.ts';
import type { AuditEvent } from '../../src/egress/audit/event.ts';
import { headFile } from '../../src/egress/audit/head.ts';
import { lastAuditRecord, readAudit, verifyAudit } from '../../src/egress/audit/read.ts';
import type { Ran } from './target.ts';

const folder = mkdtempSync(join(tmpdir(), 'warren-fuzz-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'audit.jsonl');
const TIME = '2026-11-24T10:00:00.000Z';
const common = {
  flow: 1,
  host: 'a.example',
  port: 443,
  decision: 'allow',
  ruleId: 'r',
  reason: null,
} as const;
const events: AuditEvent[] = [
  { ...common, kind: 'dns', flow: null, port: null, type: 'A', answer: '198.18.0.1' },
  {
    ...common,
    kind: 'flow',
    begun: true,
    protocol: 'tcp',
    upstream: null,
    bytesUp: 0,
    bytesDown: 0,
    durationMs: 0,
    guest: { pid: 1, comm: 'c\u001b[31m' },
  },
  {
    ...common,
    kind: 'request',
    request: 1,
    protocol: 'https',
    method: 'GET',
    path: '/',
    status: 200,
    cached: true,
    bytesUp: 1,
    bytesDown: 2,
    durationMs: 3,
    secrets: ['s'],
  },
  { ...common, kind: 'notice', code: 'secret-misuse', reason: 'é' },
];
/** `@` before a line asks for the hash of the line before in it, and for one of its own. */
const chained = events.map((event) => `@${sealRecord(event, TIME, { seq: 0, hash: GENESIS }).line}`);
export const seeds = [
  `${chained.map((line, at) => line.replace('"seq":1', `"seq":${at + 1}`)).join('\n')}\n`,
  chained.map((line, at) => line.replace('"seq":1', `"seq":${at + 7}`)).join('\n'),
  `${sealRecord(events[0]!, TIME, { seq: 0, hash: GENESIS }).line}\n`,
  `@{"seq":1,"seq":2,"prev":"","hash":""}\n@null\n\r\n`,
  `@${chained[2]!.slice(1).replace('["s"]', '"s"')}\n`,
  `@${chained[0]!.slice(1).replace('"kind":"dns"', '"kind":"flow"')}\n`,
  'x'.repeat(200_000),
];

export async function run(bytes: Buffer): Promise<Ran> {
  const whole = Buffer.from(sealed(bytes.toString('latin1')), 'latin1');
  rmSync(headFile(path), { force: true });
  writeFileSync(path, whole);
  const lines = new AuditLines();
  const records: AuditRecord[] = [];
  for await (const record of readAudit(path)) records.push(record);
  for (const record of records) {
    const { line, at } = sealAgain(record);
    // Strings that were cut are cut once more.
    if (!line.includes('[cut]')) assert.equal(at.hash, record.hash, 'it could not have been written here');
    const shown = lines.line(record as never);
    assert.doesNotMatch(shown ?? '', /[\x00-\x1f\x7f-\x9f\u202a-\u202e]/);
  }
  const last = records.at(-1);
  assert.deepEqual(await lastAuditRecord(path), last ? { seq: last.seq, hash: last.hash } : null);
  const verdict = await verifyAudit(path);
  assert.ok(verdict.records <= records.length);
  if (!verdict.broken) {
    assert.equal(verdict.records, records.length);
    const text = records.map((each) => `${sealAgain(each).line}\n`).join('');
    // A last line that is being written may be begun, or have no newline yet.
    if (!text.includes('[cut]')) {
      const all = `${whole.toString('latin1')}\n`;
      assert.ok(all.startsWith(text));
      const rest = all.slice(text.length).replace(/\n$/, '');
      assert.doesNotMatch(rest, /\n/);
      assert.ok(rest.startsWith('{"seq":') || '{"seq":'.startsWith(rest), rest.slice(0, 200));
    }
  }
  const continued = await goOn(verdict.broken === null);
  return `${Math.min(3, records.length)} records, ${verdict.broken?.why ?? 'whole'}, ${continued}`;
}

/** A door begins with whatever is there: it goes on behind a whole record, or refuses. */
async function goOn(wasWhole: boolean): Promise<string> {
  let file: AuditFile;
  try {
    file = await AuditFile.open(path);
  } catch (error) {
    assert.match((error as Error).message, /^the last record [a-z ]+$/);
    assert.ok(!wasWhole);
    return 'refused';
  }
  await file.write(events[0]!);
  await file.close();
  const text = readFileSync(path, 'latin1');
  assert.ok(text.endsWith('\n'));
  const written = openRecord(text.slice(0, -1).split('\n').at(-1)!, null);
  assert.ok('seq' in written && written.seq === file.position.seq);
  // What was whole, but for a last line that was cut, still is.
  if (wasWhole) assert.equal((await verifyAudit(path)).broken, null);
  return 'continued';
}

function sealAgain({ hash: _, prev, seq, time, ...event }: AuditRecord) {
  return sealRecord(event as AuditEvent, time, { seq: seq - 1, hash: prev });
}

function sealed(text: string): string {
  let prev = GENESIS;
  return text
    .split('\n')
    .map((line) => {
      if (!line.startsWith('@')) return line;
      const body = line
        .slice(1, MAX_LINE_BYTES + 2)
        .replace(/"prev":"[^"]*"/, `"prev":"${prev}"`)
        .replace(/,"hash":"[^"]*"\}$/, '}');
      prev = createHash('sha256').update(body).digest('hex');
      return `${body.slice(0, -1)},"hash":"${prev}"}`;
    })
    .join('\n');
}
