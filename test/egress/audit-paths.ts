// Where the tests of the audit write, and what.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { AuditFile } from '../../src/egress/audit/audit-file.ts';
import type { AuditEvent } from '../../src/egress/audit/event.ts';
import { readAudit } from '../../src/egress/audit/read.ts';
import { openDoor, say } from './fake-guest.ts';

export const folder = mkdtempSync(join(tmpdir(), 'warren-audit-'));
after(() => rmSync(folder, { recursive: true }));
let nr = 0;
export const newPath = () => join(folder, `${++nr}-audit.jsonl`);
export const event = (host: string): AuditEvent => ({
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
export async function lineOf(path: string): Promise<string[]> {
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
export const hosts = async (path: string) => {
  const all: string[] = [];
  for await (const record of readAudit(path)) all.push(record.host);
  return all;
};
/** Of each file that this process writes; a write beyond it is cut, as on a full disk. */
export const limitFiles = (bytes: string) =>
  execFileSync('prlimit', [`--pid=${process.pid}`, `--fsize=${bytes}:unlimited`]);
