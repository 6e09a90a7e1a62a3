// What the commands about the network print for a person.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { waitsForTrust } from '../../src/cli/describe-network.ts';
import { ruleLines } from '../../src/cli/rule-lines.ts';
import { trustLines } from '../../src/cli/trust-lines.ts';
import type { RuleView } from '../../src/protocol/policy.ts';

const rule = (id: string, where: string, more: Partial<RuleView> = {}): RuleView => ({
  ...{ id, where, effect: 'allow', speaks: ['https:443'], methods: null, paths: null, git: null },
  ...{ allowPrivate: false, comment: null, never: null, ...more },
});
const files = { sandbox: '/s', project: '/p', repository: '/r/warren.json', user: '/u' };

describe('rules', () => {
  const rules = [
    rule('sandbox:deny[0]:*.evil.example', '*.evil.example', { effect: 'deny', speaks: [] }),
    rule('answer:allow[0]:db.example', 'db.example', { speaks: ['tcp:5432'], allowPrivate: true }),
    rule('project:allow[0]:a\u202e.example', 'a\u202e.example', { comment: '\u001b[2Jours' }),
    rule('profile:git-hosts[1]:github.com', 'release-assets.githubusercontent.com', {
      methods: ['GET', 'HEAD'],
      paths: ['/*/*/archive/*', '/*/*/releases/download/*', '/*/*/raw/*'],
    }),
  ];

  it('stand under where they come from, within a terminal', () => {
    const lines = ruleLines({ rules, files }, 80);
    assert.deepEqual(
      lines.filter((line) => !line.startsWith(' ')),
      ['of this sandbox: /s', 'of all sandboxes of this project: /p', '/r/warren.json', 'profile git-hosts'],
    );
    assert.match(lines[1]!, /^ {2}deny {3}\*\.evil\.example +everything$/);
    assert.match(lines[3]!, /^ {2}allow {2}db\.example +tcp:5432; private addresses$/);
    for (const line of lines) assert.ok(line.length <= 80, line);
    assert.doesNotMatch(lines.join(''), /[\u001b\u202e]/);
  });

  it('are a line each where nobody looks', () => {
    const lines = ruleLines({ rules, files }, null);
    assert.equal(lines.length, 8);
    assert.match(lines.at(-1)!, /raw\/\*$/);
  });
});

describe('a rule', () => {
  const line = (more: Partial<RuleView>) =>
    ruleLines({ rules: [rule('sandbox:allow[0]:a.example', 'a.example', more)], files }, null)[1]!;

  it('tells fetch and push of git apart', () => {
    assert.match(line({ git: { fetch: true, push: null } }), /; git fetch$/);
    assert.match(
      line({ git: { fetch: true, push: 'refs/heads/x' } }),
      /; git fetch; git push refs\/heads\/x$/,
    );
    assert.match(line({ git: { fetch: false, push: 'refs/heads/x' } }), /443; git push refs\/heads\/x$/);
  });

  it('hides nothing behind what it says at length', () => {
    const paths = Array.from({ length: 64 }, (_, nr) => `/of/no/interest/${nr}`);
    const speaks = Array.from({ length: 64 }, (_, nr) => `https:${nr + 10_000}`);
    const long = line({ speaks, paths, comment: 'all is well '.repeat(80), allowPrivate: true, never: 'x' });
    assert.match(long, /; private addresses; \/of\/no.*…; \(all is.*…; DENIED: x$/);
  });

  it('says that it never counts', () => {
    assert.match(line({ never: 'port 7070 …' }), /DENIED: port 7070/);
  });
});

describe('what a repository asks for', () => {
  const asks = { network: 'open', egress: { profiles: ['npm'], allow: ['a.example', { host: 'b\u001b' }] } };

  it('is an entry a line', () => {
    const lines = trustLines({ asks, trusted: null });
    assert.deepEqual(lines.slice(0, 3), ['  network "open"', '  profiles "npm"', '  allow "a.example"']);
    assert.doesNotMatch(lines.join(''), /\u001b/);
  });

  it('shows what differs from what was trusted', () => {
    const trusted = { egress: { allow: ['a.example', 'old.example'], profiles: ['npm'] } };
    assert.deepEqual(
      trustLines({ asks, trusted }).map((line) => line.slice(0, 12)),
      ['+ network "o', '+ allow {"ho', '- allow "old', '  profiles "', '  allow "a.e'],
    );
  });

  it('is not pushed out of sight by what it says of itself', () => {
    const entry = (host: string, more = {}) => ({ comment: `all is well ${' '.repeat(900)}`, host, ...more });
    const asks = { egress: { allow: [entry('evil.example', { allowPrivate: true })] } };
    const [line] = trustLines({ asks, trusted: null });
    assert.match(line!, /^ {2}allow .*"host":"evil\.example","allowPrivate":true,"comment":"all is well/);
    assert.doesNotMatch(line!, /READ/);
    const trusted = { egress: { allow: [entry('good.example')] } };
    assert.deepEqual(
      trustLines({ asks, trusted }).map((each) => each.slice(0, 30)),
      ['+ allow {"host":"evil.example"', '- allow {"host":"good.example"'],
    );
  });

  it('tells what does not fit, and what differs behind that', () => {
    const paths = (last: string) => [...Array.from({ length: 60 }, (_, nr) => `/of/no/interest/${nr}`), last];
    const asks = { egress: { allow: [{ paths: paths('/b/*'), host: 'a.example' }] } };
    const trusted = { egress: { allow: [{ paths: paths('/a/*'), host: 'a.example' }] } };
    const lines = trustLines({ asks, trusted });
    assert.deepEqual(
      lines.map((each) => each[0]),
      ['+', '-'],
    );
    assert.match(lines[0]!, /… READ warren\.json BEFORE YOU SAY YES$/);
  });

  it('is not more than anybody reads, and says so', () => {
    const allow = Array.from({ length: 10_000 }, (_, nr) => `h${nr}.example`);
    const lines = trustLines({ asks: { egress: { allow } }, trusted: { egress: { allow: allow.slice(1) } } });
    assert.deepEqual([lines.length, lines[0]], [201, '+ allow "h0.example"']);
    assert.match(lines.at(-1)!, /9800 more lines/);
    const [first] = trustLines({ asks: { network: 'open' }, trusted: { egress: { allow } } });
    assert.equal(first, '+ network "open"');
  });
});

describe('a command that cannot be read', () => {
  const warren = join(import.meta.dirname, '../../bin/warren');
  const fails = async (...args: string[]) =>
    await promisify(execFile)(warren, args).then(
      () => assert.fail('it was read'),
      ({ code, stderr }) => ({ code, stderr: String(stderr) }),
    );

  for (const [words, help] of [
    [['policy', 'allow', 'demo', '--nope'], 'warren policy allow --help'],
    [['audit'], 'warren audit --help'],
    [['policy', 'allo'], 'warren policy --help'],
    [['nope'], 'warren --help'],
  ] as const)
    it(words.join(' '), async () => {
      const { code, stderr } = await fails(...words);
      assert.equal(code, 2);
      assert.match(stderr, /^error: cannot read the command: /m);
      assert.ok(stderr.endsWith(`\n  try: ${help}\n`), stderr);
    });

  it('has help that tells no empty defaults', async () => {
    const { stdout } = await promisify(execFile)(warren, ['policy', 'allow', '--help']);
    assert.match(stdout, /--method <method> +only this method \(repeatable\)\n/);
    assert.doesNotMatch(stdout, /default: \[\]/);
    // As remedies of denials write them: see allow-with.ts.
    for (const flag of [
      'http',
      'tcp',
      'tls-passthrough',
      'path',
      'git-fetch',
      'git-push',
      'host-service',
      'private',
    ])
      assert.match(stdout, new RegExp(` --${flag} `), flag);
  });
});

describe('a warren.json that waits for trust', () => {
  it('is said to ask for more only where it does', () => {
    assert.match(
      waitsForTrust({ trust: 'new' }, 'demo')!,
      /asks for more network than it gets: warren policy trust demo$/,
    );
    const changed = waitsForTrust({ trust: 'changed' }, 'demo')!;
    assert.match(changed, /has changed: what it allows more or denies less .*: warren policy trust demo$/);
    assert.deepEqual(
      [waitsForTrust({ trust: 'trusted' }, 'demo'), waitsForTrust({ trust: 'absent' }, 'demo')],
      [null, null],
    );
  });
});
