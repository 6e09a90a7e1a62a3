// The audit read while it is written: nothing twice, nothing left out, through rotations.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { appendFile, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { AuditFile } from '../../src/egress/audit/audit-file.ts';
import { GENESIS, sealRecord } from '../../src/egress/audit/chain.ts';
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

/** A follower that misses a record waits for it. */
const late = (signal: AbortSignal) => AbortSignal.any([signal, AbortSignal.timeout(20_000)]);

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

  it('tells what came in place of what a full disk had let through in part', async () => {
    const path = join(folder, 'cut.jsonl');
    let at = { seq: 0, hash: GENESIS };
    const lines = (...hosts: number[]) =>
      hosts.map((nr) => {
        const sealed = sealRecord(event(nr), '2026-01-01T00:00:00.000Z', at);
        at = sealed.at;
        return `${sealed.line}\n`;
      });
    await appendFile(path, lines(1, 2).join(''));
    const kept = at;
    const { size } = await stat(path);
    const stop = new AbortController();
    const seen: string[] = [];
    for await (const { seq, host } of followAudit(path, late(stop.signal), 1)) {
      seen.push(`${seq} ${host}`);
      const step = seen.length;
      if (step === 2) await appendFile(path, lines(3, 4).join('').slice(0, -10));
      // Once it is longer than before, and once it is shorter.
      if (step === 3 || step === 7) {
        await truncate(path, size);
        at = kept;
        await appendFile(path, lines(...(step === 3 ? [11, 12, 13, 14] : [21])).join(''));
      }
      if (step === 8) {
        assert.equal((await verifyAudit(path)).broken, null);
        stop.abort();
      }
    }
    assert.deepEqual(
      seen.map((each) => each.replace('.example', '')),
      ['1 h1', '2 h2', '3 h3', '3 h11', '4 h12', '5 h13', '6 h14', '3 h21'],
    );
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
