// DNS questions as the agent hands them over: any JSON, and whatever is answered leads back to the name asked for.

import assert from 'node:assert/strict';
import { isSynthetic, SyntheticNames } from '../../src/egress/names/synthetic.ts';

export const seeds = [
  '{"name":"example.com","type":"A"}',
  '{"name":"Example.com.","type":"AAAA"}',
  '{"name":"7.0.18.198.in-addr.arpa","type":"PTR"}',
  '{"name":"_dmarc.example.com","type":"TXT"}',
  '{"name":"x.localhost","type":"A"}',
  '{"name":null,"type":["A"]}',
];
const MAX_NAMES = 100;
let nowMs = 0;
const names = new SyntheticNames({
  path: null,
  isDenied: (name) => name.startsWith('d'),
  nowMs: () => nowMs,
  maxNames: MAX_NAMES,
});

export function run(bytes: Buffer): void {
  let question: unknown;
  try {
    question = JSON.parse(bytes.toString('utf8'));
  } catch {
    question = { name: bytes.toString('latin1'), type: 'A' };
  }
  if (typeof question !== 'object' || question === null) return;
  nowMs += 10;
  const { rcode, answers } = names.answer(question as never);
  assert.match(rcode, /^(?:NOERROR|NXDOMAIN|FORMERR)$/);
  assert.ok(names.size <= MAX_NAMES);
  for (const { type, data } of answers) {
    assert.equal(rcode, 'NOERROR');
    const { name } = question as { name: string };
    if (type !== 'A') continue;
    assert.ok(isSynthetic(data));
    assert.equal(names.nameOf(data), name.toLowerCase().replace(/\.$/, ''));
  }
}
