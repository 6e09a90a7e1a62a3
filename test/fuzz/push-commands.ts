// The list of a push: every ref that git would read out of it is in the rule, and more bytes change no answer.

import assert from 'node:assert/strict';
import { judgePushCommands } from '../../src/egress/policy/git.ts';

const GLOB = 'refs/heads/warren/*';
const [A, B] = ['a'.repeat(40), '0'.repeat(40)];
const pkt = (line: string): string => (line.length + 4).toString(16).padStart(4, '0') + line;

export const seeds = [
  `${pkt(`${A} ${B} refs/heads/warren/x\0 report-status agent=git/2`)}${pkt(`${B} ${A} refs/heads/warren/y`)}0000PACK`,
  `${pkt(`shallow ${A}\n`)}${pkt(`${A} ${B} refs/heads/warren/x\0 x\n`)}0000`,
  `${pkt(`${A} ${B} refs/heads/main\0 report-status`)}0000`,
  `${pkt('push-cert\0 x')}${pkt('certificate version 0.1\n')}0000`,
  '0000',
  `${pkt(`${'1'.repeat(64)} ${'2'.repeat(64)} refs/heads/warren/z`)}0000`,
].map((text) => Buffer.from(text, 'latin1'));

export function run(bytes: Buffer): void {
  const verdict = judgePushCommands(bytes, GLOB);
  const more = judgePushCommands(Buffer.concat([bytes, Buffer.from('0000PACK')]), GLOB);
  if (verdict.state !== 'need-more') assert.deepEqual(more, verdict);
  if (verdict.state === 'refused') assert.match(verdict.reason, /^[\x20-\x7e…]+$/);
  if (verdict.state !== 'allowed') return;
  const list = bytes.toString('latin1', 0, verdict.listBytes);
  assert.ok(list.endsWith('0000') && list.length <= 64 * 1024 + 4);
  // Read once more as git does: each line up to its NUL, the ref behind the two ids.
  const refs: string[] = [];
  for (let at = 0; at < list.length - 4; ) {
    const length = Number.parseInt(list.slice(at, at + 4), 16);
    const line = list.slice(at + 4, at + length).split('\0')[0]!;
    if (!line.startsWith('shallow ')) refs.push(line.replace(/^[0-9a-f]+ [0-9a-f]+ /, '').replace(/\n$/, ''));
    at += length;
  }
  assert.deepEqual(refs, verdict.refs);
  for (const ref of refs) assert.match(ref, /^refs\/heads\/warren\/[\x21-\x7e]+$/);
}
