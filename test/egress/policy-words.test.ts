// What a person types about a policy: what becomes of it, and what `check` says of it.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkAccess } from '../../src/egress/policy/check.ts';
import { createPolicy } from '../../src/egress/policy/judge.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';
import { PLAIN } from '../../src/egress/policy/typed.ts';
import {
  entryForQuestion,
  entryOf,
  withEntries,
  withoutEntries,
} from '../../src/egress/policy/write-entry.ts';

const plain = PLAIN;
const policyOf = (allow: unknown[], deny: unknown[] = []) =>
  createPolicy([parsePolicy({ egress: { allow, deny } }, { source: 'sandbox', file: 'x' })]);

describe('what is typed', () => {
  it('becomes an entry, a string where that says it all', () => {
    assert.equal(entryOf('example.com', plain), 'example.com');
    assert.equal(entryOf('example.com:80', plain), 'example.com:80');
    assert.equal(entryOf('[2001:db8::1]:443', plain), '[2001:db8::1]:443');
    assert.deepEqual(entryOf('10.0.0.0/8', plain), { cidr: '10.0.0.0/8' });
    assert.deepEqual(entryOf('db.example:5432', { ...plain, protocol: 'tcp' }), {
      host: 'db.example',
      ports: [5432],
      protocol: 'tcp',
    });
    assert.deepEqual(entryOf('a.example:80', { ...plain, methods: ['GET'], paths: ['/v1/*'] }), {
      host: 'a.example',
      ports: [80],
      protocol: 'http',
      methods: ['GET'],
      paths: ['/v1/*'],
    });
  });

  it('is judged as the hint of a denial promises', () => {
    for (const [host, typed, what] of [
      ['example.com', plain, 'https://example.com/'],
      ['example.com:80', plain, 'http://example.com/'],
      ['example.com:8080', { ...plain, protocol: 'http' as const }, 'http://example.com:8080/'],
      ['example.com', { ...plain, methods: ['GET'], paths: ['/a'] }, 'https://example.com/a?q'],
    ] as const) {
      const none = checkAccess(policyOf([]), what, 'GET');
      assert.deepEqual([none.decision, none.ruleId], ['deny', null], what);
      const entry = entryOf(host, { ...typed, methods: [...typed.methods], paths: [...typed.paths] });
      assert.equal(checkAccess(policyOf([entry]), what, 'GET').decision, 'allow', what);
    }
  });
});

describe('an answer', () => {
  it('allows what was asked, and nothing beside it', () => {
    for (const [question, other] of [
      [{ host: 'a.example', port: 443, protocol: 'https' }, 'a.example:8443'],
      [{ host: 'a.example', port: 80, protocol: 'http' }, 'a.example:443'],
      [{ host: 'a.example', port: 22, protocol: 'tcp' }, 'a.example:443'],
      [{ host: '2606:4700::1', port: 443, protocol: 'https' }, '[2606:4700::2]'],
    ] as const) {
      const policy = policyOf([entryForQuestion(question)]);
      const host = question.host.includes(':') ? `[${question.host}]` : question.host;
      assert.equal(checkAccess(policy, `${host}:${question.port}`, 'GET').decision, 'allow');
      assert.equal(checkAccess(policy, other, 'GET').decision, 'deny');
    }
  });
});

describe('lists', () => {
  it('take an entry once, and let the contrary go', () => {
    const lists = { allow: ['a.example'], deny: ['b.example', { host: 'c.example', ports: [1] }] };
    const { lists: now, changed } = withEntries(lists, 'allow', [
      'a.example',
      'b.example',
      'b.example',
      { ports: [1], host: 'c.example' },
    ]);
    assert.deepEqual(changed, ['b.example', { ports: [1], host: 'c.example' }]);
    assert.deepEqual(now.deny, []);
    assert.equal(now.allow.length, 3);
    assert.deepEqual(withoutEntries(now, 'allow', ['a.example', 'x.example']).changed, ['a.example']);
  });
});

describe('check', () => {
  it('names the rule', () => {
    const policy = policyOf(['*.example.com'], [{ host: 'api.example.com', paths: ['/admin/*'] }]);
    assert.equal(
      checkAccess(policy, 'https://api.example.com/x', 'GET').ruleId,
      'sandbox:allow[0]:*.example.com',
    );
    const denied = checkAccess(policy, 'https://api.example.com/admin/x', 'GET');
    assert.deepEqual([denied.decision, denied.ruleId], ['deny', 'sandbox:deny[0]:api.example.com']);
  });

  it('refuses what is no target', () => {
    for (const what of [
      '',
      'ftp://example.com/',
      'example.com:0',
      'a b',
      'https://user@example.com/',
      '[::1',
    ])
      assert.throws(() => checkAccess(policyOf([]), what, 'GET'), { code: 'usage.target' }, what);
  });
});
