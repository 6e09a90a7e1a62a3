// The audit: nothing without its record, nothing changed unseen, nothing of a guest that a terminal obeys.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AuditFile } from '../../src/egress/audit/audit-file.ts';
import { writtenPath } from '../../src/egress/audit/event.ts';
import { headFile, readHead } from '../../src/egress/audit/head.ts';
import { newestFrom, verifyAudit } from '../../src/egress/audit/read.ts';
import { event, hosts, limitFiles, lineOf, newPath } from './audit-paths.ts';

describe('a record', () => {
  it('of a request is short whatever its path is, so that many do not push others out soon', async () => {
    const [line] = await lineOf(`/${'a'.repeat(50_000)}`);
    assert.ok(line!.length < 2048 && line!.includes('aaa[cut]"'), line);
    assert.equal(writtenPath('/a'), '/a');
    assert.ok(JSON.stringify(writtenPath('\x01'.repeat(9000))).length < 1100);
  });
});

it('the newest records begin at a number', async () => {
  const path = newPath();
  const file = await AuditFile.open(path);
  for (let at = 0; at < 10; at++) await file.write(event(at % 2 === 0 ? 'even' : 'odd'));
  await file.close();
  const from = (count: number) => newestFrom(path, count, ({ host }) => host === 'even');
  assert.deepEqual(
    [await from(1), await from(2), await from(4), await from(5), await from(6)],
    [9, 7, 3, 0, 0],
  );
});

describe('an audit file', () => {
  it('keeps what was written, in order, across processes', async () => {
    const path = newPath();
    let file = await AuditFile.open(path);
    await Promise.all(Array.from({ length: 500 }, (_, at) => file.write(event(`h${at}`))));
    await file.close();
    file = await AuditFile.open(path);
    await file.write(event('last'));
    const head = file.position;
    await file.close();
    assert.deepEqual((await hosts(path)).slice(498), ['h498', 'h499', 'last']);
    assert.deepEqual(await verifyAudit(path), { records: 501, first: 1, head, broken: null });
  });

  it('finds a record that was changed, left out, put in or exchanged', async () => {
    const path = newPath();
    const file = await AuditFile.open(path);
    for (let at = 0; at < 6; at++) await file.write(event(`h${at}`));
    await file.close();
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    const spoiled: Record<string, [lines: string[], line: number]> = {
      changed: [lines.map((line) => line.replace('"h3"', '"hx"')), 4],
      'left out': [lines.filter((_, at) => at !== 2), 3],
      'put in': [lines.toSpliced(2, 0, lines[1]!), 3],
      exchanged: [[lines[0]!, lines[2]!, lines[1]!, ...lines.slice(3)], 2],
      'no JSON': [lines.with(5, '{}'), 6],
    };
    for (const [what, [text, line]] of Object.entries(spoiled)) {
      writeFileSync(path, `${text.join('\n')}\n`);
      assert.equal((await verifyAudit(path)).broken?.line, line, what);
    }
  });

  it('misses an end that was cut off, also once it was gone on with', async () => {
    const path = newPath();
    const file = await AuditFile.open(path);
    for (let at = 0; at < 6; at++) await file.write(event(`h${at}`));
    await file.close();
    const text = readFileSync(path, 'utf8');
    const lines = text.split('\n');
    const goOn = async () => {
      const again = await AuditFile.open(path);
      await again.write(event('later'));
      await again.close();
    };
    const cut: [string, () => void, line: number, why: RegExp, lineThen: number][] = [
      ['records', () => writeFileSync(path, lines.slice(0, 4).join('\n').concat('\n')), 4, /^is the last/, 5],
      ['half a record', () => writeFileSync(path, text.slice(0, -9)), 6, /^is the last, though number 6/, 6],
      ['all', () => writeFileSync(path, ''), 0, /^has no record, though number 6 was written$/, 1],
      ['the file', () => rmSync(path), 0, /^has no record/, 1],
    ];
    const head = readFileSync(headFile(path));
    for (const [what, spoil, line, why, lineThen] of cut) {
      writeFileSync(path, text);
      writeFileSync(headFile(path), head);
      assert.equal((await verifyAudit(path)).broken, null, what);
      spoil();
      const { broken } = await verifyAudit(path);
      assert.equal(broken?.line, line, what);
      assert.match(broken!.why, why, what);
      await goOn();
      assert.equal((await verifyAudit(path)).broken?.line, lineThen, what);
    }
    writeFileSync(path, text);
    writeFileSync(
      headFile(path),
      String(head).replace(/"hash": "(.)/, (_, digit) => `"hash": "${digit === '0' ? '1' : '0'}`),
    );
    assert.match((await verifyAudit(path)).broken!.why, /^is not the record that was written/);
    writeFileSync(headFile(path), 'x');
    assert.match((await verifyAudit(path)).broken!.why, /^is no head/);
  });

  it('misses a beginning of which nothing is told', async () => {
    const path = newPath();
    const file = await AuditFile.open(path);
    for (let at = 0; at < 6; at++) await file.write(event(`h${at}`));
    await file.close();
    writeFileSync(path, readFileSync(path, 'utf8').split('\n').slice(2).join('\n'));
    assert.deepEqual((await verifyAudit(path)).broken, {
      file: path,
      line: 1,
      why: 'has number 3, and nothing tells of those before',
    });
  });

  it('is whole whenever its writer is killed, and after', async () => {
    const path = newPath();
    const program = `
      const { AuditFile } = await import(${JSON.stringify(new URL('../../src/egress/audit/audit-file.ts', import.meta.url))});
      const file = await AuditFile.open(${JSON.stringify(path)}, { fileBytes: 300_000, keptFiles: 3 });
      console.log('open');
      for (;;) await file.write(${JSON.stringify(event('h'))});`;
    for (let round = 0; round < 4; round++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      rmSync(headFile(path), { force: true });
      // Nobody tells that it is there.
      while ((await readHead(path)) === null) await sleep(10);
      await sleep(round * 61);
      child.kill('SIGKILL');
      await once(child, 'exit');
      const { broken, head } = await verifyAudit(path);
      assert.equal(broken, null);
      const known = await readHead(path);
      assert.ok(known && 'seq' in known && known.seq > 0 && known.seq <= head!.seq);
    }
  });

  it('a line that a crash cut is taken off; what was answered stays', async () => {
    const path = newPath();
    let file = await AuditFile.open(path);
    await file.write(event('whole'));
    await file.close();
    appendFileSync(path, '{"seq":2,"time":"2026');
    file = await AuditFile.open(path);
    await file.write(event('next'));
    await file.close();
    assert.deepEqual(await hosts(path), ['whole', 'next']);
    assert.equal((await verifyAudit(path)).broken, null);
  });

  it('a disk that is full is told to who asked; no half record stays, and it goes on when there is room', async () => {
    const path = newPath();
    const file = await AuditFile.open(path);
    await file.write(event('first'));
    limitFiles('500');
    try {
      for (let at = 0; at < 3; at++) {
        await assert.rejects(file.write(event('too long'.repeat(60))), { code: 'EFBIG' });
      }
    } finally {
      limitFiles('unlimited');
    }
    await file.write(event('second'));
    await file.close();
    assert.deepEqual(await hosts(path), ['first', 'second']);
    assert.equal((await verifyAudit(path)).broken, null);
  });

  it('a record that is cut and cannot be taken back is the last', async () => {
    // /dev/full refuses each write, and to be truncated.
    const file = await AuditFile.open('/dev/full');
    await assert.rejects(file.write(event('x')), { code: 'ENOSPC' });
    await assert.rejects(file.write(event('y')), { code: 'ENOSPC' });
    await file.close();
  });

  it('that somebody else wrote, with hashes that fit, has only records that could be of ours', async () => {
    const path = newPath();
    const file = await AuditFile.open(path);
    await file.write(event('real'));
    await file.close();
    const [real] = readFileSync(path, 'utf8').split('\n');
    const forged = [
      ['"seq":1', '"seq":"1"'],
      ['"host":"real"', '"host":"a","host":"b"'],
      ['"host":"real"', '"host": "real"'],
      ['"port":null', '"secrets":"s","port":null'],
      ['"kind":"dns"', '"kind":"other"'],
      ['"host":"real"', '"host":"\u001b[31m"'],
    ].map(([from, to]) => {
      const body = real!.replace(/,"hash".*/, '}').replace(from!, () => to!);
      assert.notEqual(body, real!.replace(/,"hash".*/, '}'));
      const hash = createHash('sha256').update(Buffer.from(body, 'latin1')).digest('hex');
      return `${body.slice(0, -1)},"hash":"${hash}"}\n`;
    });
    for (const line of forged) {
      writeFileSync(path, line);
      assert.deepEqual(await hosts(path), [], line);
      assert.equal((await verifyAudit(path)).broken?.why, 'is no record', line);
      await assert.rejects(AuditFile.open(path), /is no record/);
    }
  });

  it('whose line never ends is read with no more than a record in memory, and is not gone on with', async () => {
    const path = newPath();
    writeFileSync(path, '');
    truncateSync(path, 600 * 1024 ** 2);
    let mostBytes = 0;
    const look = setInterval(() => {
      const { heapUsed, external } = process.memoryUsage();
      mostBytes = Math.max(mostBytes, heapUsed + external);
    }, 5);
    assert.deepEqual((await verifyAudit(path)).broken, { file: path, line: 1, why: 'is no record' });
    clearInterval(look);
    assert.ok(mostBytes > 0 && mostBytes < 200 * 1024 ** 2, `${mostBytes}`);
    await assert.rejects(AuditFile.open(path), /is no record/);
    rmSync(path);
  });

  it('holds printable ASCII only, whatever a guest calls things, and cuts what is long', async () => {
    const path = newPath();
    const file = await AuditFile.open(path);
    const evil = '\u001b]52;c;AAAA\u0007\u202e\u009b31m\n{"seq":9}\u{1f600}é';
    await file.write(event(evil));
    await file.write(event('x'.repeat(100_000)));
    await file.close();
    const text = readFileSync(path, 'latin1');
    assert.doesNotMatch(text, /[^\x20-\x7e\n]/);
    assert.equal(text.trimEnd().split('\n').length, 2);
    assert.ok(text.length < 12_000);
    assert.equal((await hosts(path))[0], evil);
  });
});
