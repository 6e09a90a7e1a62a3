// The judge of flows: precedence, wildcards, addresses (NE 8, 11, 16, 22, 30, 37), and that it stays fast with as many
// rules as a file may hold.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createPolicy } from '../../src/egress/policy/judge.ts';
import type { Source } from '../../src/egress/policy/rule.ts';
import type { FlowVerdict, RequestVerdict } from '../../src/egress/policy/verdict.ts';
import { ask, flow, policy, reason, ruleset, to } from './policy-ask.ts';
import { proposed } from './typed-words.ts';

describe('names', () => {
  it('match a wildcard at any depth below, and nothing beside', () => {
    const by = policy({ allow: ['*.a.example'] });
    for (const host of ['x.a.example', 'y.x.a.example', 'X.A.EXAMPLE.'])
      assert.equal(flow(by, host).decision, 'allow', host);
    for (const host of [
      'a.example',
      'xa.example',
      'a.example.evil.example',
      'example',
      '10.1.2.3',
      '[2606:4700::1]',
    ])
      assert.equal(flow(by, host).decision, 'deny', host);
  });

  it('match at their ports only', () => {
    const by = policy({
      allow: ['a.example', 'b.example:8443', { host: 'c.example', http: true }, 'd.example:80'],
    });
    assert.deepEqual(flow(by, 'a.example'), { decision: 'allow', protocols: ['https'] });
    assert.equal(flow(by, 'a.example', 80).decision, 'deny');
    assert.deepEqual(flow(by, 'b.example', 8443), { decision: 'allow', protocols: ['https'] });
    assert.equal(flow(by, 'b.example').decision, 'deny');
    assert.deepEqual(flow(by, 'c.example', 80), { decision: 'allow', protocols: ['http'] });
    assert.deepEqual(flow(by, 'c.example'), { decision: 'allow', protocols: ['https'] });
    assert.deepEqual(flow(by, 'd.example', 80), { decision: 'allow', protocols: ['http'] });
    assert.equal(flow(by, 'd.example').decision, 'deny');
  });

  it('are not matched by addresses, nor addresses by names (domain fronting by address)', () => {
    const by = policy({ allow: ['a.example', { cidr: '93.184.216.0/24' }] });
    assert.equal(flow(by, '93.184.216.7').decision, 'allow');
    assert.equal(flow(by, '93.184.217.7').decision, 'deny');
    assert.equal(flow(policy({ allow: ['a.example'] }), '93.184.216.7').decision, 'deny');
    assert.match(reason(flow(by, '93.184.217.7')), /^93\.184\.217\.7:443: no rule allows it/);
  });
});

describe('addresses', () => {
  it('need a rule; loopback has none', () => {
    const by = policy({ allow: ['10.1.2.3', { cidr: '172.16.0.0/12', allowPrivate: true }, '8.8.8.8'] });
    const private_ = by.judgeRequest(to('10.1.2.3'), 'https', { method: 'GET', path: '/', headers: [] });
    assert.ok(private_.decision === 'allow' && private_.allowPrivate && private_.exactAddress === '10.1.2.3');
    for (const host of ['172.31.255.255', '172.16.0.0']) assert.equal(flow(by, host).decision, 'allow', host);
    for (const host of ['172.32.0.0', '172.15.255.255']) assert.equal(flow(by, host).decision, 'deny', host);
    const range = by.judgeRequest(to('172.16.9.9'), 'https', { method: 'GET', path: '/', headers: [] });
    assert.ok(range.decision === 'allow' && range.allowPrivate && range.exactAddress === undefined);
    for (const host of ['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '169.254.169.254', '10.1.2.4', '0.0.0.0'])
      assert.equal(flow(by, host).decision, 'deny', host);
    assert.equal(flow(by, '[::ffff:10.1.2.3]').decision, 'allow');
  });

  it('of this computer stay closed, even to a rule that no file could hold', () => {
    const whole = ruleset({ allow: [{ cidr: '10.0.0.0/8', allowPrivate: true }, '*.a.example'] });
    const [range, under] = whole.rules;
    assert.ok(range?.where.kind === 'cidr' && under?.where.kind === 'under');
    const all = {
      ...range,
      where: { kind: 'cidr' as const, cidr: { ...range.where.cidr, network: [0, 0, 0, 0], bits: 0 } },
    };
    const internal = { ...under, where: { kind: 'under' as const, suffix: 'warren.internal' } };
    const by = createPolicy([{ ...whole, rules: [all, internal] }]);
    assert.equal(flow(by, '10.1.2.3').decision, 'allow');
    assert.equal(flow(by, '127.0.0.1').decision, 'deny');
    assert.equal(flow(by, 'x.warren.internal').decision, 'allow');
    assert.equal(flow(by, 'host.warren.internal').decision, 'deny');
  });

  it('are denied inside IPv6, and behind a name', () => {
    const by = policy({ deny: [{ cidr: '10.0.0.0/8' }, '93.184.216.7'], allow: ['a.example'] }, 'open');
    assert.equal(flow(by, '93.184.216.7').decision, 'deny');
    assert.equal(flow(by, '[64:ff9b::5db8:d807]').decision, 'deny');
    assert.equal(flow(by, '[64:ff9b::5db8:d808]').decision, 'allow');
    const target = to('a.example');
    assert.match(
      by.judgeAddress(target, '93.184.216.7')!.reason,
      /a\.example \(93\.184\.216\.7\): denied by rule/,
    );
    assert.notEqual(by.judgeAddress(target, '64:ff9b::5db8:d807'), null);
    assert.equal(by.judgeAddress(target, '93.184.216.8'), null);
  });
});

describe('precedence', () => {
  it('is deny first, whoever says it and however wide', () => {
    for (const source of ['sandbox', 'project', 'user'] as const) {
      const by = createPolicy([
        ruleset({ allow: ['a.example', 'x.b.example'] }, 'session'),
        ruleset({ deny: ['a.example', '*.b.example'] }, source),
      ]);
      const denied = flow(by, 'a.example');
      assert.ok(denied.decision === 'deny' && denied.ruleId === `${source}:deny[0]:a.example`);
      assert.equal(denied.allowWith, null);
      assert.equal(flow(by, 'x.b.example').decision, 'deny');
      assert.ok(by.deniesName('a.example') && by.deniesName('x.b.example') && !by.deniesName('b.example'));
    }
  });

  it('is session, sandbox, project, user among what allows', () => {
    const sources: Source[] = ['user', 'session', 'project', 'sandbox'];
    for (const [at, expected] of ['session', 'sandbox', 'project', 'user'].entries()) {
      const rest = sources.filter(
        (source) => ['session', 'sandbox', 'project', 'user'].indexOf(source) >= at,
      );
      const verdict = ask(
        createPolicy(rest.map((source) => ruleset({ allow: ['api.example'] }, source))),
        'GET',
        '/',
      );
      assert.ok(verdict.decision === 'allow' && verdict.ruleId.startsWith(`${expected}:`));
    }
  });

  it('asks last, never about private addresses, this computer, or what a rule limits', () => {
    const by = policy({
      ask: true,
      allow: [{ host: 'api.example', methods: ['GET'] }],
      deny: ['no.example'],
    });
    assert.equal(flow(by, 'new.example').decision, 'ask');
    assert.equal(ask(by, 'GET', '/', 'new.example').decision, 'ask');
    assert.equal(by.judgeConnection(to('new.example', 22), 'tcp').decision, 'ask');
    assert.equal(ask(by, 'GET', '/').decision, 'allow');
    for (const verdict of [
      flow(by, 'no.example'),
      flow(by, '10.1.2.3'),
      flow(by, '127.0.0.1'),
      flow(by, '169.254.169.254'),
      flow(by, 'host.warren.internal', 5432),
      ask(by, 'POST', '/'),
    ])
      assert.equal(verdict.decision, 'deny');
  });

  it('of the network: one none is enough, open must be spelled', () => {
    const none = createPolicy([
      ruleset({ allow: ['a.example'], ask: true }),
      ruleset(undefined, 'user', 'none'),
    ]);
    assert.match(reason(flow(none, 'a.example')), /no network/);
    assert.match(reason(ask(none, 'GET', '/', 'a.example')), /no network/);
    assert.match(reason(none.judgeConnection(to('a.example'), 'tcp')), /no network/);
    const later = createPolicy([ruleset({}, 'sandbox', 'open'), ruleset({}, 'user', 'none')]);
    assert.equal(later.network, 'none');
    const open = policy({ deny: ['bad.example', { host: 'half.example', paths: ['/x/*'] }] }, 'open');
    assert.deepEqual(flow(open, 'any.example', 9999), {
      decision: 'allow',
      protocols: ['https', 'http', 'tls-passthrough', 'tcp'],
    });
    assert.equal(flow(open, 'bad.example').decision, 'deny');
    const opened = ask(open, 'GET', '/', 'any.example');
    assert.ok(opened.decision === 'allow' && !opened.allowPrivate && opened.ruleId === 'network:open');
    for (const host of [
      '10.0.0.1',
      '127.0.0.1',
      '[::1]',
      '169.254.169.254',
      '[fd00::1]',
      '0.0.0.0',
      '[64:ff9b::a00:1]',
    ])
      assert.equal(flow(open, host).decision, 'deny', host);
    assert.equal(flow(open, 'host.warren.internal', 5432).decision, 'deny');
    assert.equal(open.judgeConnection(to('half.example'), 'tcp').decision, 'deny');
    assert.equal(open.judgeConnection(to('half.example'), 'tls-passthrough').decision, 'deny');
    assert.equal(
      flow(createPolicy([ruleset({}), ruleset({}, 'user', 'open')]), 'a.example').decision,
      'allow',
    );
    assert.equal(
      flow(createPolicy([ruleset({}, 'project', 'mediated'), ruleset({}, 'user', 'open')]), 'a.example')
        .decision,
      'deny',
    );
  });
});

describe('deny rules', () => {
  it('about a port or a protocol leave the others', () => {
    const by = policy({
      allow: [
        { host: 'a.example', ports: [443, 8443] },
        { host: 'a.example', protocol: 'tcp', ports: [443] },
      ],
      deny: ['a.example:8443', { host: 'a.example', protocol: 'tcp' }],
    });
    assert.deepEqual(flow(by, 'a.example'), { decision: 'allow', protocols: ['https'] });
    assert.equal(flow(by, 'a.example', 8443).decision, 'deny');
    assert.equal(by.judgeConnection(to('a.example'), 'tcp').decision, 'deny');
    assert.equal(by.deniesName('a.example'), false);
  });

  it('about methods and paths deny those, in any clear spelling; an unclear one is denied', () => {
    const by = policy({
      allow: ['api.example'],
      deny: [
        { host: 'api.example', methods: ['DELETE'] },
        { host: 'api.example', paths: ['/admin/*', '/c%c3%a9'] },
      ],
    });
    assert.equal(flow(by, 'api.example').decision, 'allow');
    assert.equal(ask(by, 'GET', '/ok').decision, 'allow');
    assert.match(
      reason(ask(by, 'DELETE', '/ok')),
      /^DELETE https:\/\/api\.example\/ok: denied by rule project:deny\[0\]/,
    );
    assert.match(reason(ask(by, 'GET', '/admin/x?y=1')), /deny\[1\]/);
    assert.match(reason(ask(by, 'GET', '/c%C3%A9')), /deny\[1\]/);
    for (const path of [
      '/x/../admin/y',
      '/%61dmin/x',
      '//admin/x',
      '/admin%2fx',
      '/./admin/x',
      '/admin;/x',
      '/\\admin/x',
      '/adm%69n/x',
    ])
      assert.match(reason(ask(by, 'GET', path)), /ambiguous|denied by rule/, path);
  });
});

describe('connections', () => {
  it('pass by their own protocol’s rule only', () => {
    const by = policy({
      allow: [
        'a.example',
        { host: 'a.example', protocol: 'tls-passthrough', ports: [8443] },
        { host: 'b.example', protocol: 'tcp', ports: [22] },
      ],
    });
    assert.equal(by.judgeConnection(to('a.example'), 'tls-passthrough').decision, 'deny');
    assert.equal(by.judgeConnection(to('a.example', 8443), 'tls-passthrough').decision, 'allow');
    assert.equal(by.judgeConnection(to('b.example', 22), 'tcp').decision, 'allow');
    assert.equal(
      by.judgeRequest(to('b.example', 22), 'http', { method: 'GET', path: '/', headers: [] }).decision,
      'deny',
    );
    assert.deepEqual(flow(by, 'b.example', 22), { decision: 'allow', protocols: ['tcp'] });
  });

  it('reach services of this computer by their port and name', () => {
    const by = policy({
      allow: [{ hostService: 5432 }, { hostService: 3000, protocol: 'http' }, '*.b.example'],
    });
    const verdict = by.judgeConnection(to('host.warren.internal', 5432), 'tcp');
    assert.ok(verdict.decision === 'allow' && verdict.hostService === 5432);
    const http = by.judgeRequest(to('host.warren.internal', 3000), 'http', {
      method: 'GET',
      path: '/',
      headers: [],
    });
    assert.ok(http.decision === 'allow' && http.hostService === 3000);
    for (const port of [22, 443, 5433]) assert.equal(flow(by, 'host.warren.internal', port).decision, 'deny');
    const denied = flow(by, 'host.warren.internal', 22);
    assert.ok(denied.decision === 'deny' && proposed(denied) === '--host-service 22');
  });
});

describe('a denial', () => {
  it('says what would allow it, and nothing a terminal obeys', () => {
    const by = policy({ allow: [{ host: 'api.example', methods: ['GET'] }, 'other.example:8443'] });
    const remedy = (verdict: FlowVerdict | RequestVerdict) => {
      assert.ok(verdict.decision === 'deny');
      return proposed(verdict);
    };
    assert.equal(remedy(flow(by, 'new.example')), 'new.example');
    assert.equal(remedy(flow(by, 'new.example', 8443)), 'new.example:8443');
    assert.equal(remedy(flow(by, 'new.example', 80)), 'new.example:80');
    assert.equal(remedy(by.judgeConnection(to('new.example', 22), 'tcp')), 'new.example:22 --tcp');
    assert.equal(
      remedy(by.judgeConnection(to('new.example'), 'tls-passthrough')),
      'new.example --tls-passthrough',
    );
    assert.equal(remedy(flow(by, '10.1.2.3')), '10.1.2.3 --private');
    assert.equal(remedy(flow(by, '127.0.0.1')), null);
    assert.equal(remedy(flow(by, '169.254.169.254')), null);
    assert.equal(remedy(ask(by, 'PUT', '/me/x?token=secret')), 'api.example --method PUT --path /me/x');
    assert.match(reason(flow(by, 'other.example')), /only port 8443 is allowed there/);
    const wild = ask(by, 'A\u001b[31mB', '/\u001b]52;c;x\u0007$(id)`?q=secret');
    assert.doesNotMatch(reason(wild), /[\x00-\x1f\x7f]|secret/);
    assert.equal(remedy(wild), null);
  });
});

it('10,000 rules are judged 100,000 times', () => {
  const allow: unknown[] = [];
  for (let n = 0; n < 3000; n++) allow.push(`h${n}.example`, `*.s${n}.example`);
  for (let n = 0; n < 3000; n++) allow.push({ cidr: `${20 + (n % 60)}.${n >> 6}.0.0/${16 + (n % 9)}` });
  const deny = Array.from({ length: 1000 }, (_, n) => `d${n}.s${n}.example`);
  const by = policy({ allow, deny });
  const targets = [
    to('h2999.example'),
    to('a.b.s2999.example'),
    to('d7.s7.example'),
    to('none.example'),
    to('20.0.0.7'),
    to('99.0.0.1'),
  ];
  const counts = { allow: 0, deny: 0, ask: 0 };
  for (let n = 0; n < 100_000; n++) counts[by.judgeFlow(targets[n % targets.length]!).decision]++;
  assert.deepEqual(counts, { allow: 50_000, deny: 50_000, ask: 0 });
});
