// `policy learn`: what was denied becomes entries as narrow as what was seen, and the entries do what they say.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AuditEvent } from '../../src/egress/audit/event.ts';
import { createPolicy } from '../../src/egress/policy/judge.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';
import { proposeRules, wholeEgress } from '../../src/egress/policy/propose.ts';
import type { Protocol } from '../../src/egress/policy/verdict.ts';

const common = { flow: 1, reason: null, bytesUp: 0, bytesDown: 0, durationMs: 1 };
const flow = (
  host: string,
  port: number,
  protocol: Protocol | null,
  decision: 'allow' | 'deny' | 'ask' = 'deny',
  ruleId: string | null = null,
): AuditEvent => ({
  ...common,
  kind: 'flow',
  host,
  port,
  protocol,
  decision,
  ruleId,
  upstream: null,
  guest: null,
});
const request = (
  host: string,
  method: string,
  port = 443,
  protocol: 'http' | 'https' = 'https',
  path = '/x',
): AuditEvent => ({
  ...common,
  kind: 'request',
  host,
  port,
  protocol,
  method,
  path,
  status: 403,
  secrets: [],
  decision: 'deny',
  ruleId: null,
});

describe('a proposal', () => {
  it('is not made of ports that were only looked at', () => {
    const { entries, left } = proposeRules([flow('a.example', 22, null), flow('b.example', 22, 'tcp')]);
    assert.deepEqual(entries, [{ host: 'b.example', protocol: 'tcp', ports: [22] }]);
    assert.deepEqual(
      left.map(({ host }) => host),
      ['a.example'],
    );
  });

  it('is grouped by host and as narrow as what was seen', () => {
    const { entries, left } = proposeRules([
      flow('b.example', 443, null),
      flow('b.example', 443, null),
      flow('b.example', 8443, 'https'),
      flow('a.example', 80, 'http'),
      flow('ssh.example', 22, 'tcp'),
      flow('ssh.example', 2222, 'tcp'),
      flow('pinned.example', 443, 'tls-passthrough'),
      request('api.example', 'GET'),
      request('api.example', 'POST'),
      request('www.api.example', 'GET', 80, 'http'),
      flow('8.8.8.8', 853, 'tcp'),
      flow('host.warren.internal', 5432, 'tcp'),
      flow('asked.example', 443, 'https', 'ask'),
    ]);
    assert.deepEqual(entries, [
      { host: '8.8.8.8', protocol: 'tcp', ports: [853] },
      'a.example:80',
      { host: 'api.example', methods: ['GET', 'HEAD'] },
      { host: 'api.example', methods: ['POST'], paths: ['/x'] },
      'asked.example',
      'b.example',
      'b.example:8443',
      { hostService: 5432 },
      { host: 'pinned.example', protocol: 'tls-passthrough' },
      { host: 'ssh.example', protocol: 'tcp', ports: [22, 2222] },
      { host: 'www.api.example', protocol: 'http', methods: ['GET', 'HEAD'] },
    ]);
    assert.deepEqual(left, []);
    const policy = createPolicy([
      parsePolicy({ egress: { allow: entries } }, { source: 'project', file: 'x' }),
    ]);
    const name = (host: string, port: number) =>
      policy.judgeFlow({ host: { kind: 'name', name: host }, port }).decision;
    assert.equal(name('b.example', 8443), 'allow');
    assert.equal(name('x.b.example', 443), 'deny');
    assert.equal(name('ssh.example', 23), 'deny');
  });

  it('leaves out what was allowed, what a rule denies, what is private, and what is no host', () => {
    const { entries, left } = proposeRules([
      flow('fine.example', 443, 'https', 'allow', 'project:allow[0]:fine.example'),
      flow('bad.example', 443, 'https', 'deny', 'user:deny[0]:bad.example'),
      flow('10.1.2.3', 443, 'https'),
      flow('127.0.0.1', 443, 'https'),
      flow('::1', 443, 'https'),
      flow('169.254.169.254', 80, 'http'),
      flow('evil\u001b[31m.example', 443, 'https'),
      flow('*.example.com', 443, 'https'),
      {
        ...common,
        kind: 'dns',
        host: 'asked.example',
        port: null,
        decision: 'deny',
        ruleId: null,
        type: 'A',
        answer: '',
      } as never,
      {
        ...common,
        kind: 'notice',
        code: 'x',
        host: 'n.example',
        port: 443,
        decision: 'deny',
        ruleId: null,
      } as never,
    ]);
    assert.deepEqual(entries, []);
    assert.deepEqual(left.map(({ host }) => host).sort(), [
      '10.1.2.3',
      '127.0.0.1',
      '169.254.169.254',
      '[::1]',
      'bad.example',
    ]);
    assert.match(left.find(({ host }) => host === 'bad.example')!.why, /rule user:deny\[0\]/);
  });

  it('has at most 500 hosts', () => {
    const { entries, left } = proposeRules(
      Array.from({ length: 1000 }, (_, n) => flow(`h${n}.example`, 443, 'https')),
    );
    assert.equal(entries.length, 500);
    assert.equal(left.length, 500);
  });

  it('reads registries, and lets nothing be sent there but to the paths that were seen', () => {
    const audit = '/-/npm/v1/security/advisories/bulk';
    const npm = (method: string, path: string) => request('registry.npmjs.org', method, 443, 'https', path);
    assert.deepEqual(proposeRules([npm('GET', '/left-pad'), npm('HEAD', '/x')]).entries, [
      { host: 'registry.npmjs.org', registry: 'read' },
    ]);
    assert.deepEqual(proposeRules([flow('pypi.org', 443, null)]).entries, [
      { host: 'pypi.org', registry: 'read' },
    ]);
    assert.deepEqual(proposeRules([npm('GET', '/left-pad'), npm('POST', audit)]).entries, [
      { host: 'registry.npmjs.org', registry: 'read' },
      { host: 'registry.npmjs.org', methods: ['POST'], paths: [audit] },
    ]);
    for (const paths of [['/a', '/b', '/c', '/d'], ['/a/../b'], [`/${'x'.repeat(10)}[cut]`], ['/a*']]) {
      const { entries, left } = proposeRules(paths.map((path) => npm('PUT', path)));
      assert.deepEqual(entries, [], paths[0]);
      assert.match(left[0]!.why, /^something is published there/);
    }
    assert.deepEqual(
      proposeRules(['/a', '/b', '/c', '/d'].map((path) => request('b.example', 'PUT', 443, 'https', path)))
        .entries,
      [{ host: 'b.example', methods: ['PUT'] }],
    );
  });

  it('is about repositories where git was denied', () => {
    const git = (method: string, path: string, reason = 'no rule allows it') =>
      ({ ...request('github.com', method, 443, 'https', path), reason }) as AuditEvent;
    assert.deepEqual(
      proposeRules([
        git('GET', '/b/b.git/info/refs'),
        git('GET', '/a/a.git/info/refs'),
        git('POST', '/a/a.git/git-upload-pack'),
        git('GET', '/a/a.git/info/refs', 'GET https://github.com/…: git may only fetch there (rule x)'),
        git('POST', '/c/c.git/git-receive-pack'),
      ]).entries,
      [
        { host: 'github.com', paths: ['/a/a.git/*', '/b/b.git/*'], git: { fetch: true } },
        {
          host: 'github.com',
          paths: ['/a/a.git/*', '/c/c.git/*'],
          git: { fetch: false, push: 'refs/heads/warren/*' },
        },
      ],
    );
    assert.deepEqual(proposeRules([git('POST', '/a/info/refs')]).entries, [
      { host: 'github.com', methods: ['POST'], paths: ['/a/info/refs'] },
    ]);
  });

  it('is the whole of what is to be written', () => {
    const entries = [{ host: 'a.example', ports: [443] }, 'new.example'];
    assert.deepEqual(wholeEgress(null, ['npm', 'apt'], entries), {
      profiles: ['npm', 'apt'],
      allow: entries,
    });
    assert.deepEqual(wholeEgress(null, [], entries), { allow: entries });
    const there = { profiles: ['pip'], ask: true, allow: ['a.example'], deny: ['d.example'] };
    assert.deepEqual(wholeEgress(there, ['npm'], entries), {
      ...there,
      allow: ['a.example', 'new.example'],
    });
    assert.deepEqual(wholeEgress({ allow: null }, ['npm'], ['x.example']), { allow: ['x.example'] });
  });
});
