// Rules that know git: fetch anywhere allowed, push only to some refs of one repository; the list of a push is hostile.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judgePushCommands } from '../../src/egress/policy/git.ts';
import { createPolicy } from '../../src/egress/policy/judge.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';
import type { RequestVerdict } from '../../src/egress/policy/verdict.ts';

const GLOB = 'refs/heads/warren/*';
const [A, B, ZERO] = ['a'.repeat(40), 'b'.repeat(40), '0'.repeat(40)];
const pkt = (line: string): string => (line.length + 4).toString(16).padStart(4, '0') + line;
const command = (ref: string, caps = '', from = A, to = B): string =>
  pkt(`${from} ${to} ${ref}${caps === '' ? '' : `\0${caps}`}`);
const judge = (body: string | Buffer) =>
  judgePushCommands(Buffer.isBuffer(body) ? body : Buffer.from(body, 'latin1'), GLOB);
const CAPS = ' report-status-v2 side-band-64k object-format=sha1 agent=git/2.47.3';
const GOOD = `${command('refs/heads/warren/demo', CAPS)}${command('refs/heads/warren/a/b', '', ZERO)}0000PACK\0\0\0\x02`;

describe('git requests', () => {
  const by = createPolicy([
    parsePolicy(
      {
        egress: {
          allow: [
            { host: 'git.example', git: { fetch: true } },
            { host: 'git.example', paths: ['/me/project.git/*'], git: { fetch: false, push: GLOB } },
          ],
        },
      },
      { source: 'project', file: 'warren.json' },
    ),
  ]);
  const ask = (method: string, path: string, headers: [string, string][] = []): RequestVerdict =>
    by.judgeRequest({ host: { kind: 'name', name: 'git.example' }, port: 443 }, 'https', {
      method,
      path,
      headers,
    });

  for (const [method, path] of [
    ['GET', '/any/one.git/info/refs?service=git-upload-pack'],
    ['POST', '/any/one.git/git-upload-pack'],
    ['GET', '/me/project.git/info/refs?service=git-receive-pack'],
  ] as const)
    it(`pass: ${method} ${path}`, () => {
      const verdict = ask(method, path);
      assert.ok(verdict.decision === 'allow' && verdict.gitPush === undefined);
    });

  it('that push are allowed with the refs that they may change', () => {
    const verdict = ask('POST', '/me/project.git/git-receive-pack');
    assert.ok(verdict.decision === 'allow');
    assert.deepEqual(verdict.gitPush, { refs: GLOB });
  });

  for (const [method, path] of [
    ['GET', '/any/one.git/info/refs?service=git-receive-pack'],
    ['POST', '/any/one.git/git-receive-pack'],
    ['POST', '/me/project.git/../other.git/git-receive-pack'],
    ['POST', '/me/project.git/%2e%2e/other.git/git-receive-pack'],
    ['POST', '/other/x//me/project.git/git-receive-pack'],
    ['POST', '/me/project.git/git-receive-pack?x'],
    ['PUT', '/me/project.git/git-receive-pack'],
    ['POST', '/me/project.git/git-receive-packs'],
    ['POST', '/me/project.git/info/refs?service=git-receive-pack'],
    ['GET', '/any/one.git/info/refs'],
    ['GET', '/any/one.git/info/refs?service=git-upload-pack&service=git-receive-pack'],
    ['GET', '/any/one.git/info/refs?x&service=git-upload-pack'],
    ['GET', '/any/one.git/HEAD'],
    ['POST', '/any/one.git/info/lfs/objects/batch'],
    ['GET', '/settings/tokens'],
    ['POST', '/api/v3/user/repos'],
  ] as const)
    it(`do not pass: ${method} ${path}`, () => assert.equal(ask(method, path).decision, 'deny'));

  it('that push do not pass compressed', () => {
    const path = '/me/project.git/git-receive-pack';
    assert.equal(ask('POST', path, [['content-encoding', 'gzip']]).decision, 'deny');
    assert.equal(ask('POST', path, [['content-encoding', 'identity']]).decision, 'allow');
    assert.equal(
      ask('POST', '/any/one.git/git-upload-pack', [['content-encoding', 'gzip']]).decision,
      'allow',
    );
  });
});

describe('the list of a push', () => {
  it('is allowed when every ref is', () => {
    assert.deepEqual(judge(GOOD), {
      state: 'allowed',
      listBytes: GOOD.indexOf('PACK'),
      refs: ['refs/heads/warren/demo', 'refs/heads/warren/a/b'],
    });
    assert.equal(judge('0000').state, 'allowed');
    assert.equal(judge(`${pkt(`shallow ${A}`)}${command('refs/heads/warren/x', CAPS)}0000`).state, 'allowed');
    assert.equal(judge(`${command('refs/heads/warren/x\n', '')}0000`).state, 'allowed');
    const [a, b] = ['1'.repeat(64), '2'.repeat(64)];
    assert.equal(judge(`${command('refs/heads/warren/x', CAPS, a, b)}0000`).state, 'allowed');
    assert.equal(judge(`${command('refs/heads/warren/x', CAPS, A, ZERO)}0000`).state, 'allowed');
  });

  it('may have 500 commands', () => {
    assert.equal(judge(`${command('refs/heads/warren/x').repeat(500)}0000`).state, 'allowed');
  });

  it('is waited for, byte by byte, and never allowed early', () => {
    const end = GOOD.indexOf('PACK');
    for (let at = 0; at < end; at++) assert.equal(judge(GOOD.slice(0, at)).state, 'need-more', `${at}`);
    for (let at = end; at <= GOOD.length; at++)
      assert.equal(judge(GOOD.slice(0, at)).state, 'allowed', `${at}`);
  });

  for (const ref of [
    'refs/heads/main',
    'refs/heads/warren',
    'refs/heads/warren/',
    'refs/heads/warrenx/a',
    'refs/heads/warren/../main',
    'refs/heads/warren/a..b',
    'refs/heads/warren//a',
    'refs/heads/warren/.a',
    'refs/heads/warren/a.lock',
    'refs/heads/warren/a.lock/b',
    'refs/heads/warren/a\u001b[31m',
    'refs/heads/warren/a b',
    'refs/heads/warren/é',
    'refs/heads/warren/a~1',
    'refs/heads/warren/@{0}',
    'refs/heads/warren/*',
    'refs/tags/v1',
    'refs/pull/1/head',
    'HEAD',
    '',
    `refs/heads/warren/${'x'.repeat(1100)}`,
  ])
    it(`is refused with ${JSON.stringify(ref.slice(0, 40))}, first or later`, () => {
      for (const body of [
        `${command(ref, CAPS)}0000`,
        `${command('refs/heads/warren/ok', CAPS)}${command(ref)}0000`,
      ]) {
        const verdict = judge(body);
        assert.equal(verdict.state, 'refused');
        assert.doesNotMatch(JSON.stringify(verdict), /\\u00/);
      }
    });

  for (const [name, body] of [
    ['no hex', 'xyz!'],
    ['capital hex', `00AF${'x'.repeat(200)}`],
    ['a signed length', '+00f'],
    ['length 1 (delim)', '0001'],
    ['length 2', '0002'],
    ['length 3', '0003'],
    ['an empty line', '0004'],
    ['a signed push', `${pkt('push-cert\0 report-status')}0000`],
    ['a command without a ref', `${pkt(`${A} ${B}`)}0000`],
    ['a command with short ids', `${pkt('aaaa bbbb refs/heads/warren/x')}0000`],
    ['ids of two kinds', `${pkt(`${A} ${'b'.repeat(64)} refs/heads/warren/x`)}0000`],
    [
      'a NUL in a later line',
      `${command('refs/heads/warren/x', CAPS)}${command('refs/heads/warren/y', 'x')}0000`,
    ],
    ['a second line in a line', `${command(`refs/heads/warren/x\n${A} ${B} refs/heads/main`, CAPS)}0000`],
    ['a flush inside a ref', command('refs/heads/warren/x0000', CAPS).slice(0, -1) + '\0'.repeat(5)],
    ['a list over 64 KiB', `${command(`refs/heads/warren/${'x'.repeat(900)}`).repeat(70)}0000`],
    ['501 commands', `${command('refs/heads/warren/x').repeat(501)}0000`],
    ['a request of another service', `${pkt(`want ${A}`)}0000`],
    ['a newline before its capabilities', `${command('refs/heads/warren/x\n', CAPS)}0000`],
    ['gzip', '\x1f\x8b\x08\x00'],
  ] as const)
    it(`is refused when it has ${name}`, () => {
      const { state } = judge(body);
      assert.ok(state === 'refused', state);
    });
});
