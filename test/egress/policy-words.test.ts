// What a person types about a policy: what becomes of it, and what `check` says of it.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkAccess } from '../../src/egress/policy/check.ts';
import { entriesMeant, entryWords, meaningOf } from '../../src/egress/policy/find-rules.ts';
import { createPolicy } from '../../src/egress/policy/judge.ts';
import { withEntries, withoutEntries } from '../../src/egress/policy/lists.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';
import { PLAIN } from '../../src/egress/policy/typed.ts';
import { entryForQuestion, entryOf } from '../../src/egress/policy/write-entry.ts';
import { entryFrom } from './typed-words.ts';

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
    assert.deepEqual(withoutEntries(now, 'allow', new Set(['a.example', 'x.example'])).changed, [
      'a.example',
    ]);
  });

  it('take what means the same once, however it is written', () => {
    for (const host of ['EXAMPLE.org', 'example.org.', 'Example.ORG.']) {
      assert.equal(entryOf(host, plain), 'example.org');
      assert.equal(entryOf(`*.${host}:8443`, plain), '*.example.org:8443');
    }
    assert.equal(entryOf('1.2.3.4.', plain), '1.2.3.4');
    assert.equal(entryOf('https://EXAMPLE.org', plain), 'https://EXAMPLE.org');
    const lists = { allow: ['EXAMPLE.org', '1.2.3.4.'], deny: ['Other.example'] };
    const { lists: now, changed } = withEntries(lists, 'allow', ['example.org', '1.2.3.4', 'other.example']);
    assert.deepEqual([changed, now.deny], [['other.example'], []]);
    assert.equal(meaningOf('a.example', 'allow'), meaningOf({ host: 'a.example', ports: [443] }, 'allow'));
    assert.notEqual(meaningOf('a.example', 'deny'), meaningOf('a.example:443', 'deny'));
  });
});

describe('what is to be taken away', () => {
  const allow = [
    'EXAMPLE.org',
    '1.2.3.4.',
    { host: 'srv', ports: [8080], protocol: 'http' },
    'srv:9000',
    '*.a.example',
  ];
  const meant = (host: string, typed: Partial<typeof plain> = {}) =>
    entriesMeant(allow as never, 'allow', host, { ...plain, ...typed });

  it('is found by what it means', () => {
    for (const [host, entry] of [
      ['example.org', 'EXAMPLE.org'],
      ['EXAMPLE.org.', 'EXAMPLE.org'],
      ['1.2.3.4', '1.2.3.4.'],
      ['*.A.example', '*.a.example'],
    ] as const)
      assert.deepEqual(meant(host), [entry]);
  });

  it('is found by its host and port, whatever else was typed when it was made', () => {
    assert.deepEqual(meant('srv:8080'), [allow[2]]);
    assert.deepEqual(meant('SRV:8080', { protocol: 'http' }), [allow[2]]);
    assert.deepEqual(meant('srv').length, 2);
    for (const [host, typed] of [
      ['srv:8080', { protocol: 'tcp' }],
      ['srv:8081', {}],
      ['a.example', {}],
      ['x.a.example', {}],
      ['srv:9000', { methods: ['GET'] }],
      ['srv:9000', { allowPrivate: true }],
    ] as const)
      assert.deepEqual(meant(host, typed as never), [], JSON.stringify([host, typed]));
    assert.deepEqual(entriesMeant(['b.example:1', 'b.example'], 'deny', 'b.example', plain), ['b.example']);
    assert.deepEqual(entriesMeant(['b.example:1'], 'deny', 'b.example', plain), ['b.example:1']);
  });

  it('is told in words that can be pasted', () => {
    for (const words of [
      'a.example',
      'a.example:8080 --http',
      "a.example --method GET --path '/v1/*' --private",
      "a.example --path '/x/*' --git-fetch --git-push 'refs/heads/warren/*'",
      '--host-service 5432',
      '10.0.0.0/8 --private',
    ])
      assert.equal(entryWords(entryFrom(words)), words);
    assert.equal(entryWords({ host: 'a.example', registry: 'read' }), null);
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

  it('judges what the door would do with it', () => {
    const policy = policyOf([
      { host: 'pass.example', protocol: 'tls-passthrough' },
      { host: 'db.example', ports: [5432], protocol: 'tcp' },
      { host: 'read.example', methods: ['GET'] },
      { host: 'git.example', git: { fetch: true } },
      { hostService: 5432 },
      { hostService: 7070 },
    ]);
    for (const [what, method, decision, ruleId] of [
      ['https://pass.example/x', 'GET', 'allow', 'sandbox:allow[0]:pass.example'],
      ['pass.example', 'POST', 'allow', 'sandbox:allow[0]:pass.example'],
      ['http://pass.example/', 'GET', 'deny', null],
      ['db.example:5432', 'GET', 'allow', 'sandbox:allow[1]:db.example'],
      ['https://db.example:5432/', 'GET', 'allow', 'sandbox:allow[1]:db.example'],
      ['read.example', 'GET', 'allow', 'sandbox:allow[2]:read.example'],
      ['read.example', 'POST', 'deny', null],
      ['git.example', 'GET', 'deny', null],
      ['wss://read.example/x', 'GET', 'allow', 'sandbox:allow[2]:read.example'],
      ['ws://read.example/x', 'GET', 'deny', null],
      ['host.warren.internal:5432', 'GET', 'allow', 'sandbox:allow[4]:host.warren.internal'],
      ['host.warren.internal:7070', 'GET', 'deny', null],
    ] as const) {
      const told = checkAccess(policy, what, method, new Set([7070]));
      assert.deepEqual([told.decision, told.ruleId], [decision, ruleId], what);
    }
    assert.match(
      checkAccess(policy, 'host.warren.internal:7070', 'GET', new Set([7070])).reason!,
      /port 7070 of this computer leads to ports of all sandboxes/,
    );
    assert.equal(checkAccess(policy, 'http://new.example:8080/', 'GET').allowWith, 'new.example:8080 --http');
  });

  it('refuses what is no target, and says why', () => {
    for (const [what, why] of [
      ['', /empty/],
      ['ftp://example.com/', /nothing is known of "ftp"/],
      ['example.com:0', /port is not a number/],
      ['a b', /letters, digits/],
      ['https://user@example.com/', /names a user/],
      ['https://user:pw@example.com/', /names a user/],
      ['[::1', /brackets|letters/],
    ] as const)
      assert.throws(
        () => checkAccess(policyOf([]), what, 'GET'),
        { code: 'usage.target', message: why },
        what,
      );
    for (const method of ['P OST', '', 'get', '\u001b'])
      assert.throws(() => checkAccess(policyOf([]), 'a.example', method), {
        code: 'usage.target',
        message: /is no method$/,
        remedy: /--method GET/,
      });
  });
});
