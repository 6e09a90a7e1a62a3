// Policy files: what is taken and what is refused at load, each with a sentence that names the entry and the way out
// (NE 1, 8, 26).

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createPolicy } from '../../src/egress/policy/judge.ts';
import { parsePolicy, parsePolicyText } from '../../src/egress/policy/parse.ts';
import {
  PROFILES,
  profileNames,
  profilesFor,
  profilesForCommands,
} from '../../src/egress/policy/profiles.ts';
import { syntaxObjection } from '../../src/egress/policy/syntax.ts';
import { WarrenError } from '../../src/protocol/error.ts';

const FROM = { source: 'project' as const, file: 'warren.json' };
const parse = (egress: unknown, network?: unknown) =>
  parsePolicy({ egress, ...(network !== undefined && { network }) }, FROM);
const refusal = (run: () => unknown): WarrenError => {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof WarrenError, String(error));
    assert.equal(error.code, 'usage.policy');
    assert.ok(error.remedy, error.message);
    return error;
  }
  assert.fail('it was taken');
};
const target = (name: string, port = 443) => ({ host: { kind: 'name' as const, name }, port });

it('the example of the document on policy is taken as it is', async () => {
  const page = await readFile(join(import.meta.dirname, '../../docs/POLICY.md'), 'utf8');
  const [, example] = /## In `warren.json`\n\n```\n([\s\S]*?)```/.exec(page)!;
  assert.ok(parsePolicyText(example!, FROM).rules.length > 12);
});

describe('what allows nothing', () => {
  for (const egress of [
    undefined,
    null,
    {},
    { allow: [] },
    { allow: null },
    { deny: [] },
    { allow: null, profiles: null },
  ])
    it(`${JSON.stringify(egress)}`, () => {
      const policy = createPolicy([parse(egress)]);
      assert.equal(policy.network, 'mediated');
      assert.equal(policy.judgeFlow(target('example.com')).decision, 'deny');
      for (const protocol of ['tcp', 'tls-passthrough'] as const)
        assert.equal(policy.judgeConnection(target('example.com'), protocol).decision, 'deny');
      for (const protocol of ['http', 'https'] as const)
        assert.equal(
          policy.judgeRequest(target('example.com'), protocol, { method: 'GET', path: '/', headers: [] })
            .decision,
          'deny',
        );
    });
  it('no file at all', () => {
    assert.equal(createPolicy([]).judgeFlow(target('example.com')).decision, 'deny');
  });
});

describe('an entry', () => {
  for (const entry of [
    'example.com',
    'Example.COM.',
    '*.example.com',
    'example.com:8443',
    '10.1.2.3',
    '10.1.2.3:5432',
    '[2001:4860::8888]:853',
    'xn--bcher-kva.example',
    'intranet',
    { host: 'example.com', comment: 'why' },
    { host: '*.example.com', http: true, ports: [443, 8443] },
    { cidr: '93.184.216.0/24', ports: [22], protocol: 'tcp' },
    { cidr: '10.0.0.0/8', allowPrivate: true },
    { cidr: '169.254.169.254', allowPrivate: true, protocol: 'http' },
    { host: 'example.com', methods: ['GET'], paths: ['/a/*', '/b/*/c'], stripHeaders: ['X-Y'] },
    { host: 'github.com', git: { fetch: true, push: 'refs/heads/warren/*' }, paths: ['/me/p.git/*'] },
    { host: 'registry.example', registry: 'read', secrets: ['npm_token'] },
    { host: 'db.example', protocol: 'tcp', ports: [5432], allowPrivate: true },
    { host: 'pinned.example', protocol: 'tls-passthrough' },
    { hostService: 5432 },
    { hostService: 3000, protocol: 'http', methods: ['GET'] },
  ])
    it(`is taken: ${JSON.stringify(entry)}`, () => {
      assert.equal(parse({ allow: [entry] }).rules.length, 1);
    });

  for (const [entry, why] of [
    ['*', /matches everything/],
    ['*.com', /anybody can have a name under com/],
    ['*.co.uk', /anybody/],
    ['*.github.io', /anybody/],
    ['*.internal', /anybody/],
    ['co.uk', /public suffix/],
    ['a.*', /before a dot/],
    ['*a.example.com', /before a dot/],
    ['a.*.example.com', /before a dot/],
    ['*.*.example.com', /before a dot/],
    ['**.example.com', /before a dot/],
    ['*.10.1.2.3', /no subdomains/],
    ['*.1.2', /.+/],
    ['https://example.com', /scheme/],
    ['me@example.com', /user/],
    ['example.com/path', /slash/],
    ['10.0.0.0/8', /slash/],
    ['bücher.example', /ASCII/],
    ['exаmple.com', /ASCII/],
    ['*.bücher.example', /ASCII/],
    ['', /empty/],
    [' example.com', /letters, digits/],
    ['example.com\n', /letters, digits/],
    ['example.com:', /port/],
    ['example.com:0', /port/],
    ['example.com:99999', /port/],
    ['2001:db8::1', /brackets/],
    ['127.1', /number/],
    ['127.0.0.1', /loopback/],
    ['[::1]', /loopback/],
    ['0.0.0.0', /loopback/],
    ['169.254.169.254', /metadata/],
    ['100.100.100.200', /metadata/],
    ['host.warren.internal:5432', /this computer/],
    ['*.warren.internal', /this computer/],
    ['x'.repeat(400), /.+/],
    [null, /it must be an object/],
    [7, /it must be an object/],
    [[], /it must be an object/],
    [['example.com'], /it must be an object/],
    [{}, /exactly one/],
    [{ host: 'a.example', cidr: '10.0.0.0/8' }, /exactly one/],
    [{ host: 'a.example', hots: 1 }, /hots/],
    [{ host: 'host.warren.internal', ports: [1] }, /this computer/],
    [{ host: 7 }, /host/],
    [{ host: 'a.example', ports: 443 }, /ports/],
    [{ host: 'a.example', ports: [] }, /ports/],
    [{ host: 'a.example', ports: ['443'] }, /ports/],
    [{ host: 'a.example', ports: [0] }, /ports/],
    [{ host: 'a.example', ports: [1.5] }, /ports/],
    [{ host: 'a.example', protocol: 'quic' }, /protocol/],
    [{ host: 'a.example', methods: ['get'] }, /capitals/],
    [{ host: 'a.example', methods: ['TRACE'] }, /never/],
    [{ host: 'a.example', methods: [] }, /methods/],
    [{ host: 'a.example', paths: ['a'] }, /start with/],
    [{ host: 'a.example', paths: ['/../a'] }, /dot segment/],
    [{ host: 'a.example', paths: ['/a?b'] }, /query/],
    [{ host: 'a.example', paths: ['/a/**'] }, /segment/],
    [{ host: 'a.example', paths: [`/${'*a'.repeat(9)}`] }, /stars/],
    [{ host: 'a.example', paths: ['/\u001b[31m'] }, /percent-encoded/],
    [{ host: 'a.example', stripHeaders: ['Host'] }, /no request/],
    [{ host: 'a.example', stripHeaders: ['a b'] }, /header/],
    [{ host: 'a.example', git: {}, methods: ['GET'] }, /git/],
    [{ host: 'a.example', git: { fetch: false } }, /neither/],
    [{ host: 'a.example', git: { push: 'warren/*' } }, /refs\/heads/],
    [{ host: 'a.example', git: { push: 'refs/heads/*' } }, /refs\/heads\/warren/],
    [{ host: 'a.example', git: { push: 'refs/heads/a*' } }, /last part/],
    [{ host: 'a.example', git: { pull: true } }, /pull/],
    [{ host: 'a.example', registry: 'write' }, /registry/],
    [{ host: 'a.example', registry: 'read', methods: ['PUT'] }, /registry/],
    [{ cidr: '10.0.0.0/8' }, /not public/],
    [{ cidr: '10.1.2.3', allowPrivate: false }, /not public/],
    [{ cidr: '127.0.0.0/8', allowPrivate: true }, /loopback/],
    [{ cidr: '0.0.0.0/0', allowPrivate: true }, /too wide/],
    [{ cidr: '::/0' }, /too wide/],
    [{ cidr: '10.0.0.1/8', allowPrivate: true }, /beyond the prefix/],
    [{ cidr: 'example.com' }, /not an address/],
    [{ host: 'a.example', protocol: 'tls-passthrough', secrets: ['s'] }, /secrets.*tls-passthrough/],
    [{ host: 'a.example', protocol: 'tls-passthrough', paths: ['/a'] }, /paths/],
    [{ host: 'a.example', protocol: 'tcp', ports: [22], methods: ['GET'] }, /methods/],
    [{ host: 'a.example', protocol: 'tcp', ports: [22], secrets: ['s'] }, /secrets/],
    [{ host: 'a.example', protocol: 'tcp' }, /no usual port/],
    [{ host: 'a.example', protocol: 'http', secrets: ['s'] }, /TLS/],
    [{ host: 'a.example', http: true, secrets: ['s'] }, /TLS/],
    [{ host: 'a.example', protocol: 'http', http: true }, /adds port 80/],
    [{ host: 'a.example', secrets: ['*'] }, /secret/],
    [{ hostService: 5432, ports: [1] }, /by itself/],
    [{ hostService: 5432, host: 'a.example' }, /exactly one/],
    [{ hostService: 0 }, /hostService/],
    [{ hostService: 5432, paths: ['/a'] }, /paths/],
  ] as const)
    it(`is refused: ${JSON.stringify(entry)?.slice(0, 90)}`, () => {
      const error = refusal(() => parse({ allow: ['example.com', entry] }));
      assert.match(error.message, why);
      assert.match(error.message, /^cannot use warren\.json: egress\.allow\[1\] /);
      assert.doesNotMatch(error.message + error.remedy, /[\x00-\x1f\x7f]/);
    });

  it('that only loosens is refused among the denied; a wide one is not', () => {
    for (const key of [
      { git: {} },
      { registry: 'read' },
      { allowPrivate: true },
      { stripHeaders: [] },
      { secrets: ['a'] },
    ])
      refusal(() => parse({ deny: [{ host: 'a.example', ...key }] }));
    refusal(() => parse({ deny: ['*'] }));
    for (const key of [{ methods: ['PUT'] }, { paths: ['/a'] }])
      refusal(() => parse({ deny: [{ cidr: '10.0.0.0/8', ...key }] }));
    for (const entry of [
      '*.com',
      '*.co.uk',
      'com',
      '127.0.0.1',
      { cidr: '0.0.0.0/0' },
      { host: 'a.example', protocol: 'tcp' },
    ])
      assert.equal(parse({ deny: [entry] }).rules.length, 1);
  });
});

describe('a file', () => {
  for (const [egress, network, why] of [
    [[], undefined, /egress/],
    ['open', undefined, /egress/],
    [true, undefined, /egress/],
    [{ alow: [] }, undefined, /alow/],
    [{ allow: {} }, undefined, /allow/],
    [{ allow: 'example.com' }, undefined, /allow/],
    [{ ask: 1 }, undefined, /ask/],
    [{ ask: 'yes' }, undefined, /ask/],
    [{ ask: null }, undefined, /ask/],
    [{ dns: 'real' }, undefined, /synthetic/],
    [{ profiles: ['yarn'] }, undefined, /no profile "yarn"/],
    [{ profiles: ['__proto__'] }, undefined, /no profile/],
    [{ profiles: ['toString'] }, undefined, /no profile/],
    [{ profiles: ['\u001b[2J'] }, undefined, /no profile/],
    [{ profiles: [1] }, undefined, /profiles/],
    [{}, 'Open', /network/],
    [{}, null, /network/],
    [{}, true, /network/],
    [{ allow: ['example.com'] }, 'none', /none/],
    [{ profiles: ['npm'] }, 'none', /none/],
    [{ profiles: ['open'] }, 'mediated', /both/],
    [{ profiles: ['open', 'none'] }, undefined, /both/],
    [{ allow: Array.from({ length: 10_001 }, () => 'example.com') }, undefined, /10001 rules, and 10000/],
  ] as const)
    it(`is refused: ${JSON.stringify({ network, egress }).slice(0, 80)}`, () => {
      const error = refusal(() => parse(egress, network));
      assert.match(error.message, why);
      assert.doesNotMatch(error.message + error.remedy, /[\x00-\x1f\x7f]/);
    });

  it('may hold the same rule twice, and 10,000 of them', () => {
    const rules = Array.from({ length: 10_000 }, (_, n) => `h${n % 5000}.example`);
    assert.equal(parse({ allow: rules }).rules.length, 10_000);
  });

  it('says what the network is', () => {
    assert.equal(parse({}, 'open').network, 'open');
    assert.equal(parse({ profiles: ['open'] }).network, 'open');
    assert.equal(parse({ profiles: ['none'] }).network, 'none');
    assert.equal(parse(undefined, 'none').network, 'none');
    assert.equal(parse({}).network, null);
    assert.equal(parse(undefined).profiles, null);
    assert.deepEqual(parse({}).profiles, []);
  });

  it('as text is read once, strictly', () => {
    const text = '{ // why\n "egress": { "allow": ["example.com",], "ask": true } }';
    assert.equal(parsePolicyText(text, FROM).ask, true);
    for (const [broken, why] of [
      ['', /.+/],
      ['{', /.+/],
      ['null', /.+/],
      ['[]', /.+/],
      ['{"egress": {}}}', /.+/],
      ['{"egress": {"allow": [], "allow": ["example.com"]}}', /line 1: the key "allow" is there twice/],
      ['{"egress": {"__proto__": {"allow": ["example.com"]}}}', /__proto__/],
      ['{"egress": {\n"\\u005f_proto__": {}}}', /line 2/],
      [`{"egress": ${'['.repeat(50_000)}`, /64 levels/],
      [`{"egress": ${'{"a":'.repeat(50_000)}`, /64 levels/],
      ['{"policy": 1}', /policy/],
      [' '.repeat(5 * 1024 * 1024), /longer/],
    ] as const)
      assert.match(refusal(() => parsePolicyText(broken, FROM)).message, why, broken.slice(0, 60));
    assert.equal(({} as Record<string, unknown>)['allow'], undefined);
    assert.equal(syntaxObjection('{"a": {"b": 1}, "c": {"b": 2}}'), null);
  });
});

describe('profiles', () => {
  for (const name of profileNames())
    it(`${name} is read like a file`, () => {
      const { rules, network } = parse({ profiles: [name] });
      assert.equal(rules.length, PROFILES[name].allow.length);
      assert.equal(network, name === 'open' || name === 'none' ? name : null);
      for (const rule of rules) {
        assert.match(rule.id, new RegExp(`^profile:${name}\\[\\d+\\]:`));
        assert.equal(rule.allowPrivate, false);
        assert.notEqual(rule.where.kind, 'cidr');
      }
    });
  it('fit what a repository holds', () => {
    assert.deepEqual(profilesFor([]), ['git-hosts']);
    assert.deepEqual(profilesFor(['README.md', 'package.json', 'go.mod']), ['npm', 'go', 'git-hosts']);
    assert.deepEqual(profilesFor(['pyproject.toml', 'Cargo.toml']), ['pip', 'cargo', 'git-hosts']);
    for (const [command, wanted] of [
      ['apk add --no-cache git && npm ci', ['npm', 'apk']],
      ['set -e;apk --no-cache add curl', ['apk']],
      ['adb install app.apk && make', []],
      ['apt-get update; pip3 install .', ['pip', 'apt']],
      ['go build ./... && cargo test', ['cargo', 'go', 'git-hosts']],
    ] as const)
      assert.deepEqual(profilesForCommands([command]), wanted, command);
    assert.deepEqual(profilesFor(['package.json.bak', 'CLAUDE.md', 'open', 'none', '*']), ['git-hosts']);
  });
});
