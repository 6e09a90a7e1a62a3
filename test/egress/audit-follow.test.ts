// The audit read while it is written: nothing twice, nothing left out, through rotations.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { AuditFile } from '../../src/egress/audit/audit-file.ts';
import type { AuditEvent } from '../../src/egress/audit/event.ts';
import { followAudit } from '../../src/egress/audit/follow.ts';
import { lastAuditRecord, readAudit, verifyAudit } from '../../src/egress/audit/read.ts';

const folder = mkdtempSync(join(tmpdir(), 'warren-follow-'));
after(() => rmSync(folder, { recursive: true }));

const event = (nr: number): AuditEvent => ({
  kind: 'dns',
  flow: null,
  host: `h${nr}.example`,
  port: null,
  decision: 'allow',
  ruleId: null,
  reason: null,
  type: 'A',
  answer: '198.18.0.1',
});

describe('an audit that is followed', () => {
  it('tells what was there, what comes, and what comes after a rotation', async () => {
    const path = join(folder, 'audit.jsonl');
    const audit = await AuditFile.open(path, { fileBytes: 2000, keptFiles: 8 });
    for (let nr = 1; nr <= 3; nr++) await audit.write(event(nr));
    const stop = new AbortController();
    const seen: number[] = [];
    for await (const { seq } of followAudit(path, stop.signal, 1)) {
      seen.push(seq);
      // One more for each that was told: some fall into the file that is read, some into the next.
      if (audit.position.seq < 60) await audit.write(event(audit.position.seq + 1));
      if (seq === 60) stop.abort();
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 60 }, (_, at) => at + 1),
    );
    assert.deepEqual(await lastAuditRecord(path), audit.position);
    await audit.close();
  });

  it('is whole for who reads it while another writes and rotates', async () => {
    const path = join(folder, 'busy.jsonl');
    const audit = await AuditFile.open(path, { fileBytes: 2000, keptFiles: 8 });
    const stop = new AbortController();
    let last = 0;
    const writing = (async () => {
      while (last < 1500 && !stop.signal.aborted) {
        // A reader that is behind by more than is kept misses what is not kept.
        if (audit.position.seq - last < 20) await audit.write(event(audit.position.seq + 1));
        else await new Promise((resolve) => setImmediate(resolve));
      }
      stop.abort();
    })();
    const reading = (async () => {
      while (!stop.signal.aborted) {
        const { broken } = await verifyAudit(path);
        assert.equal(broken, null);
        const seqs: number[] = [];
        for await (const { seq } of readAudit(path)) seqs.push(seq);
        const [first = 1] = seqs;
        assert.deepEqual(
          seqs,
          seqs.map((_, at) => first + at),
        );
      }
    })();
    reading.catch(() => stop.abort());
    try {
      for await (const { seq } of followAudit(path, stop.signal, 1)) {
        assert.equal(seq, last + 1);
        last = seq;
      }
    } finally {
      stop.abort();
      await Promise.all([writing, reading]);
      await audit.close();
    }
  });

  it('waits for a file that is not there yet, and for the end of a line', async () => {
    const path = join(folder, 'later.jsonl');
    const stop = new AbortController();
    const seen: number[] = [];
    const other = join(folder, 'other.jsonl');
    const audit = await AuditFile.open(other);
    await audit.write(event(1));
    await audit.close();
    const { readFile } = await import('node:fs/promises');
    const line = await readFile(other, 'latin1');
    const following = (async () => {
      for await (const { seq } of followAudit(path, stop.signal, 1)) {
        seen.push(seq);
        stop.abort();
      }
    })();
    await appendFile(path, line.slice(0, 50));
    await new Promise((resolve) => setImmediate(resolve));
    await appendFile(path, line.slice(50));
    await following;
    assert.deepEqual(seen, [1]);
  });
});
