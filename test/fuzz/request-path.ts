// Paths against path rules: what a rule lets through lies under its folder however a server might read it.

import assert from 'node:assert/strict';
import { createPolicy } from '../../src/egress/policy/judge.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';

export const seeds = [
  '/repos/me/x',
  '/repos/me/../other',
  '/repos/me/%2e%2e/other',
  '/repos/me//x;y',
  '/repos/me/%252e%252e%2fother',
  '/repos/me/\\..\\x',
  '/repos/me/x?y=/../z',
  '/repos/you/x',
  '//repos/me/x',
];
const FOLDER = '/repos/me/';
const policy = createPolicy([
  parsePolicy(
    { egress: { allow: [{ host: 'a.example', paths: [`${FOLDER}*`] }] } },
    { source: 'project', file: 'warren.json' },
  ),
]);
const target = { host: { kind: 'name', name: 'a.example' }, port: 443 } as const;

export function run(bytes: Buffer): void {
  const path = bytes.toString('latin1');
  const verdict = policy.judgeRequest(target, 'https', { method: 'GET', path, headers: [] });
  if (verdict.decision !== 'allow') {
    assert.match(verdict.reason, /^[\x20-\x7e…\u00a0-\u00ff]+$/);
    return;
  }
  const readings = [path, decode(path), decode(decode(path))].flatMap((each) => [
    each,
    each.replaceAll('\\', '/'),
    each.replaceAll(/;[^/]*/g, ''),
  ]);
  for (const reading of readings) {
    const url = URL.parse(reading.startsWith('/') ? `https://a.example${reading}` : reading);
    assert.ok(url?.pathname.startsWith(FOLDER), `${path} could be read as ${reading}`);
  }
}

function decode(path: string): string {
  return path.replaceAll(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
