// The audit: nothing without its record, nothing changed unseen, nothing of a guest that a terminal obeys.

import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { AuditFile, rotated } from '../../src/egress/audit/audit-file.ts';
import type { AuditRecord } from '../../src/egress/audit/chain.ts';
import { type AuditEvent, type RequestEvent, writtenPath } from '../../src/egress/audit/event.ts';
import { headFile, readHead } from '../../src/egress/audit/head.ts';
import { newestFrom, readAudit, verifyAudit } from '../../src/egress/audit/read.ts';
import { openDoor, say } from './fake-guest.ts';

const folder = mkdtempSync(join(tmpdir(), 'warren-audit-'));
after(() => rmSync(folder, { recursive: true }));
let nr = 0;
const newPath = () => join(folder, `${++nr}-audit.jsonl`);
const event = (host: string): AuditEvent => ({
  kind: 'dns',
  flow: null,
  host,
  port: null,
  decision: 'allow',
  ruleId: null,
  reason: null,
  type: 'A',
  answer: '198.18.0.1',
});
/** Of a refused request, as the door writes it. */
async function lineOf(path: string): Promise<string[]> {
  const written = newPath();
  const audit = await AuditFile.open(written);
  const opened = await openDoor({ allow: [{ host: 'ok.example', http: true }], audit });
  const stream = await opened.openName('denied.example', 80);
  await say(stream, `GET ${path} HTTP/1.1\r\nHost: denied.example\r\nConnection: close\r\n\r\n`);
  await opened.close();
  await audit.close();
  return readFileSync(written, 'latin1')
    .split('\n')
    .filter((line) => line.includes('"method":"GET"'));
}
const hosts = async (path: string) => {
  const all: string[] = [];
  for await (const record of readAudit(path)) all.push(record.host);
  return all;
};
/** Of each file that this process writes; a write beyond it is cut, as on a full disk. */
const limitFiles = (bytes: string) =>
  execFileSync('prlimit', [`--pid=${process.pid}`, `--fsize=${bytes}:unlimited`]);

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
