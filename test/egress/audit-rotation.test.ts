// An audit whose files are full: what goes, what is told of it, and what a failure or a crash in between leaves.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { AuditFile, rotated } from '../../src/egress/audit/audit-file.ts';
import type { AuditRecord } from '../../src/egress/audit/chain.ts';
import type { AuditEvent, RequestEvent } from '../../src/egress/audit/event.ts';
import { readAudit, verifyAudit } from '../../src/egress/audit/read.ts';
import { event, folder, hosts, newPath } from './audit-paths.ts';

describe('an audit file that is full', () => {
  it('is rotated by size; the chain goes on through the files, and the oldest goes', async () => {
    const path = newPath();
    const limits = { fileBytes: 3000, keptFiles: 2 };
    let file = await AuditFile.open(path, limits);
    for (let at = 0; at < 60; at++) {
      await file.write(event(`h${at}`));
      if (at % 7 === 0) {
        await file.close();
        file = await AuditFile.open(path, limits);
      }
    }
    await file.close();
    // And the record of what is not kept.
    for (const kept of [0, 1, 2]) assert.ok(readFileSync(rotated(path, kept)).length <= 3000 + 600);
    assert.throws(() => readFileSync(rotated(path, 3)));
    const { broken, first, records, head } = await verifyAudit(path);
    assert.equal(broken, null);
    assert.equal(first! + records - 1, head!.seq);
    assert.ok(head!.seq > 60);
    assert.ok(first! > 1);
  });

  it('that cannot begin another file denies, and keeps what it has', async () => {
    const path = newPath();
    const program = join(import.meta.dirname, 'audit-crowded.ts');
    const limited = ['-c', 'ulimit -n 80 && exec "$0" "$@"', process.execPath];
    const { stdout } = await promisify(execFile)('/bin/sh', [...limited, program, path]);
    const during = JSON.parse(stdout);
    assert.ok(during.rejected > 90, stdout);
    assert.deepEqual([during.first, during.records, during.broken], [1, 120 - during.rejected, null]);
    const { first, records, broken } = await verifyAudit(path);
    assert.deepEqual([first, records, broken], [1, during.records + 1, null]);
    const ours = (name: string) => name.startsWith('.') && name.endsWith(basename(path));
    assert.ok(!readdirSync(folder).some(ours));
  });

  it('forgets nothing that was out before the rest was denied', async () => {
    const path = newPath();
    const file = await AuditFile.open(path, { fileBytes: 4000, keptFiles: 2 });
    for (let nr = 0; nr < 60; nr++)
      await file.write({
        ...{ kind: 'request', flow: 1, request: nr, host: 'leak.example', port: 443, decision: 'deny' },
        ...{ ruleId: null, reason: 'its body broke a rule', protocol: 'https', method: 'PUT', path: '/' },
        ...{ status: 403, bytesUp: nr % 2 === 0 ? 1000 : 0, bytesDown: 0, durationMs: 1, secrets: [] },
      });
    await file.close();
    let told: AuditRecord | undefined;
    for await (const record of readAudit(path)) if (record.kind === 'notice') told = record;
    assert.ok(told?.kind === 'notice' && told.forgotten);
    const { denied, through, last } = told.forgotten;
    const [host, , times, bytes] = through[0]!;
    assert.deepEqual([through.length, host, bytes], [1, 'leak.example', times * 1000]);
    assert.ok(Math.abs(denied - times) <= 1 && denied + times <= last);
  });

  it('says of what it does not keep where anything was let through, however much is denied', async () => {
    const path = newPath();
    const limits = { fileBytes: 6000, keptFiles: 2 };
    let file = await AuditFile.open(path, limits);
    const request = (host: string, decision: 'allow' | 'deny'): AuditEvent => ({
      ...{ kind: 'request', flow: 1, request: 1, host, port: 443, decision, ruleId: null, reason: null },
      ...{ protocol: 'https', method: 'PUT', path: '/', status: 200, bytesDown: 0 },
      ...{ bytesUp: decision === 'allow' ? 1000 : 0, durationMs: 1, secrets: [] },
    });
    for (let nr = 0; nr < 100; nr++) {
      await file.write({ ...(request('leak.example', 'allow') as RequestEvent), begun: true });
      await file.write(request('leak.example', 'allow'));
      await file.write(request(`small${nr}.example`, 'allow'));
    }
    await file.close();
    file = await AuditFile.open(path, limits);
    for (let nr = 0; nr < 200; nr++) await file.write(request('x.example', 'deny'));
    await file.close();
    const told: AuditRecord[] = [];
    let kept = 0;
    for await (const record of readAudit(path)) {
      if (record.kind === 'notice') told.push(record);
      else if (record.decision === 'deny') kept += 1;
    }
    const last = told.at(-1)!;
    assert.ok(last.kind === 'notice' && last.code === 'forgotten' && last.forgotten);
    const { first, denied, others, through } = last.forgotten;
    assert.deepEqual([first, through.length, through[0]], [1, 64, ['leak.example', 443, 100, 100_000]]);
    assert.equal(
      through.reduce((sum, [, , times]) => sum + times, others),
      200,
    );
    assert.ok(denied > 0 && denied + kept >= 200 && denied + kept < 260, `${denied} and ${kept}`);
    assert.match(
      last.reason!,
      /^records 1 to \d+ are not kept; let through: leak\.example:443 100× ↑100000, small/,
    );
    assert.equal((await verifyAudit(path)).broken, null);
  });

  it('a crash between the files of a rotation breaks no chain', async () => {
    const path = newPath();
    let file = await AuditFile.open(path);
    await file.write(event('old'));
    await file.close();
    writeFileSync(rotated(path, 1), readFileSync(path));
    rmSync(path);
    file = await AuditFile.open(path);
    await file.write(event('new'));
    await file.close();
    assert.equal((await verifyAudit(path)).broken, null);
    assert.deepEqual(await hosts(path), ['old', 'new']);
  });
});
