// What a person says about a policy, against its files: what is kept, what is refused before it is, what is told.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { AuditFile } from '../../src/egress/audit/audit-file.ts';
import type { AuditEvent } from '../../src/egress/audit/event.ts';
import { createPolicy, type RuledPolicy } from '../../src/egress/policy/judge.ts';
import { PLAIN } from '../../src/egress/policy/typed.ts';
import { doorFiles, type Layout, sandboxFiles } from '../../src/host/layout.ts';
import type { RulesRequest } from '../../src/protocol/policy.ts';
import type { Conductor } from '../../src/sandbox/conductor.ts';
import { changeRules, trust, trustView } from '../../src/sandbox/network/change.ts';
import { propose } from '../../src/sandbox/network/learn.ts';
import { check, policyView } from '../../src/sandbox/network/look.ts';
import { policyOf } from '../../src/sandbox/network/policy.ts';
import type { Sandbox } from '../../src/sandbox/sandboxes.ts';

const folder = mkdtempSync(join(tmpdir(), 'warren-change-'));
after(() => rmSync(folder, { recursive: true }));
let homes = 0;

function home(own: object = {}, repository: object = {}) {
  const at = join(folder, `home-${homes++}`);
  const layout: Layout = { data: join(at, 'data'), runtime: join(at, 'run'), config: join(at, 'config') };
  const root = join(at, 'repository');
  const file = doorFiles(sandboxFiles(layout, 'abc').folder).policy;
  const project = join(root, 'warren.json');
  for (const [path, value] of [
    [file, { version: 1, allow: [], deny: [], fitting: ['npm'], network: null, ...own }],
    [project, repository],
  ] as const) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, JSON.stringify(value));
  }
  const conductor = {
    rooms: { layout, closedHostPorts: new Set([7070]) },
    doors: { policyChanged: async () => {}, pid: () => undefined },
    journal: async () => {},
    exclusively: (_: string, work: () => Promise<unknown>) => work(),
  } as unknown as Conductor;
  const sandbox = { record: { id: 'abc', name: 'demo', repository: { root } } } as unknown as Sandbox;
  const change = (hosts: string[], more: Partial<RulesRequest> = {}) =>
    changeRules(conductor, sandbox, {
      ...PLAIN,
      effect: 'allow',
      scope: 'sandbox',
      remove: false,
      hosts,
      hostServices: [],
      ...more,
    });
  const rm = (hosts: string[], more: Partial<RulesRequest> = {}) => change(hosts, { remove: true, ...more });
  return {
    change,
    rm,
    check: (what: string, method = 'GET') => check(conductor, sandbox, what, method),
    show: () => policyView(conductor, sandbox),
    audit: async (...events: AuditEvent[]) => {
      const file = await AuditFile.open(doorFiles(sandboxFiles(layout, 'abc').folder).audit);
      for (const event of events) await file.write(event);
      await file.close();
    },
    learn: () => propose(conductor, sandbox),
    put: (text: string) => writeFileSync(project, text),
    policy: async () => createPolicy((await policyOf(layout, sandbox.record)).rulesets),
    trust: async () => trust(conductor, sandbox, (await trustView(conductor, sandbox)).digest),
    lists: () => JSON.parse(readFileSync(file, 'utf8')) as { allow: unknown[]; deny: unknown[] },
    root,
  };
}

describe('a rule', () => {
  it('is kept in one spelling, and taken away in any', async () => {
    const { change, rm, lists } = home();
    await change(['EXAMPLE.org', '1.2.3.4.']);
    assert.deepEqual((await change(['example.org.'])).changed, []);
    assert.deepEqual(lists().allow, ['example.org', '1.2.3.4']);
    assert.deepEqual((await rm(['Example.org', '1.2.3.4'])).changed, ['example.org', '1.2.3.4']);
    assert.deepEqual(lists().allow, []);
  });

  it('is taken away by its host and port where there is one; of several each is named, and none goes', async () => {
    const { change, rm, lists } = home();
    await change(['srv:8080'], { protocol: 'http' });
    assert.equal((await rm(['srv:8080'])).changed.length, 1);
    await change(['srv:8080'], { protocol: 'http' });
    await change(['srv:8080'], { methods: ['GET'] });
    await assert.rejects(rm(['srv:8080']), {
      code: 'usage.policy',
      message: /there are 2: srv:8080 --http; srv:8080 --method GET$/,
      remedy: 'say which, such as: warren policy rm demo srv:8080 --http',
    });
    assert.equal(lists().allow.length, 2);
    await rm(['srv:8080'], { methods: ['GET'] });
    await rm(['srv:8080']);
    assert.deepEqual(lists().allow, []);
  });

  it('that is not there is a notice, with what there is about that host', async () => {
    const { change, rm } = home();
    assert.deepEqual(await rm(['new.example']), { changed: [], notices: [] });
    await change(['a.example'], { effect: 'deny' });
    await change(['*.example.com'], { scope: 'project' });
    const { changed, notices } = await rm(['a.example', 'x.example.com', 'registry.npmjs.org']);
    assert.deepEqual(changed, []);
    assert.deepEqual(notices, [
      'about a.example there is: sandbox:deny[0]:a.example (--deny)',
      'about x.example.com there is: answer:allow[0]:*.example.com (--project)',
      'about registry.npmjs.org there is: profile:npm[0]:registry.npmjs.org',
    ]);
  });
});

describe('the port of stable names', () => {
  it('is refused to a person with the reason, and told where a file names it', async () => {
    const { change, show, lists } = home({
      allow: [{ hostService: 7070 }, { hostService: 5432 }, '1.1.1.1', '10.0.0.1'],
    });
    await assert.rejects(change([], { hostServices: [7070] }), {
      code: 'usage.policy',
      message: /cannot allow --host-service 7070: port 7070 of this computer leads to ports of all sandboxes/,
    });
    assert.equal(lists().allow.length, 4);
    const { rules } = await show();
    const [names, other, open, closed] = rules;
    assert.match(names!.never!, /port 7070/);
    assert.equal(other!.never, null);
    assert.deepEqual([open!.allowPrivate, closed!.allowPrivate], [false, true]);
  });
});

describe('a sandbox without a network', () => {
  it('takes no rule, and says what to do', async () => {
    const { change, check, lists } = home({ network: 'none' });
    await assert.rejects(change(['a.example']), {
      code: 'usage.policy',
      message: 'cannot allow "a.example": sandbox "demo" was made without a network (--network none)',
      remedy: /warren up --network mediated --name OTHER$/,
    });
    assert.deepEqual(lists().allow, []);
    const { decision, ruleId, remedy } = await check('a.example');
    assert.deepEqual([decision, ruleId], ['deny', 'network:none']);
    assert.match(remedy!, /warren up --network mediated/);
  });

  it('has none where a rule got in before, and every answer is the same', async () => {
    const { check, show } = home({ network: 'none', allow: ['a.example'] });
    assert.equal((await check('a.example')).ruleId, 'network:none');
    assert.deepEqual([(await show()).network.mode, (await show()).network.broken], ['none', null]);
  });

  it('because warren.json says so keeps the rule, and says what is in its way', async () => {
    const { change, root } = home({}, { network: 'none' });
    const { changed, notices } = await change(['a.example']);
    assert.deepEqual(changed, ['a.example']);
    assert.ok(
      notices[0]!.endsWith(`try: take "network": "none" out of ${join(root, 'warren.json')}`),
      notices[0],
    );
  });
});

describe('a look at what is denied', () => {
  it('names what would change it', async () => {
    const { change, check, root } = home({}, { egress: { deny: ['repo.example'] } });
    assert.equal((await check('new.example')).remedy, 'warren policy allow demo new.example');
    await change(['*.own.example'], { effect: 'deny' });
    await change(['all.example'], { effect: 'deny', scope: 'project' });
    assert.equal((await check('x.own.example')).remedy, "warren policy rm demo '*.own.example' --deny");
    assert.equal((await check('all.example')).remedy, 'warren policy rm demo all.example --deny --project');
    assert.match((await check('repo.example')).remedy!, new RegExp(`out of "deny" in ${root}`));
  });
});

describe('what is learned', () => {
  const denied = (host: string, more: Partial<AuditEvent> = {}) =>
    ({
      ...{
        kind: 'flow',
        flow: 1,
        host,
        port: 443,
        protocol: 'https',
        decision: 'deny',
        ruleId: null,
        reason: 'r',
      },
      ...{ upstream: null, bytesUp: 0, bytesDown: 0, durationMs: 1, guest: null, ...more },
    }) as AuditEvent;
  const asked = (host: string, port: number) =>
    denied(host, {
      kind: 'request',
      port,
      protocol: 'http',
      method: 'GET',
      path: '/',
      secrets: [],
      status: 403,
    });
  const may = (policy: RuledPolicy, name: string) =>
    policy.judgeFlow({ host: { kind: 'name', name }, port: 443 }).decision === 'allow';

  it('is written as it stands, trusted, and takes nothing away (profiles that fit)', async () => {
    const { audit, learn, put, trust, policy } = home({ fitting: ['npm', 'git-hosts', 'apt'] });
    await audit(denied('new.example'));
    const { egress, keeps } = await learn();
    assert.deepEqual(
      [egress, keeps],
      [{ profiles: ['npm', 'git-hosts', 'apt'], allow: ['new.example'] }, 'profiles'],
    );
    put(JSON.stringify({ egress }));
    await trust();
    for (const host of ['new.example', 'registry.npmjs.org', 'github.com'])
      assert.ok(may(await policy(), host), host);
    assert.deepEqual((await learn()).entries, []);
  });

  it('is written as it stands, trusted, and takes nothing away (rules that are there)', async () => {
    const there = { profiles: ['pip'], allow: ['was.example'], deny: ['bad.example'] };
    const { audit, learn, put, trust, policy } = home({}, { egress: there });
    await audit(denied('new.example'), denied('was.example'), denied('bad.example'));
    const { egress, keeps, entries, left } = await learn();
    assert.deepEqual([keeps, entries], ['file', ['new.example']]);
    assert.deepEqual(
      left.map(({ host }) => host),
      ['bad.example'],
    );
    put(JSON.stringify({ egress }));
    await trust();
    for (const host of ['new.example', 'was.example', 'pypi.org']) assert.ok(may(await policy(), host), host);
    assert.ok(!may(await policy(), 'bad.example'));
  });

  it('is not what is allowed by now, nor what a person has answered never', async () => {
    const { audit, learn, change } = home();
    await audit(asked('host.warren.internal', 5432), denied('never.example'), denied('later.example'));
    assert.deepEqual((await learn()).entries, [{ hostService: 5432 }, 'later.example', 'never.example']);
    await change([], { hostServices: [5432] });
    await change(['never.example'], { effect: 'deny' });
    await change(['later.example']);
    const { entries, left } = await learn();
    assert.deepEqual(entries, []);
    assert.deepEqual(left, [{ host: 'never.example', why: 'rule sandbox:deny[0]:never.example denies it' }]);
  });

  it('is not what git may do by now', async () => {
    const { audit, learn, change } = home({ fitting: ['git-hosts'] });
    const refs = { ...asked('github.com', 443), protocol: 'https', path: '/a/a.git/info/refs' } as AuditEvent;
    await audit(refs);
    assert.deepEqual((await learn()).entries, []);
    await audit({ ...refs, reason: 'git may only fetch there' } as AuditEvent);
    assert.deepEqual((await learn()).entries, [
      { host: 'github.com', paths: ['/a/a.git/*'], git: { fetch: false, push: 'refs/heads/warren/*' } },
    ]);
    await change(['github.com'], { paths: ['/a/a.git/*'], git: { fetch: false, push: 'refs/heads/x' } });
    assert.deepEqual((await learn()).entries, []);
  });

  it('is not asked of a file that a shell has just emptied', async () => {
    const { learn, put } = home();
    put('');
    await assert.rejects(learn(), { code: 'usage.settings', remedy: /learn demo > learned\.json$/ });
  });
});
