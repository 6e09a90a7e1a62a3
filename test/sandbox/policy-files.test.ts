// Policy files that are gone, spoiled or changed beside the point: no sandbox starts with them, and what a door has
// stays as it was (NE 1, 2, 3).

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { createPolicy } from '../../src/egress/policy/judge.ts';
import { doorFiles, type Layout, sandboxFiles } from '../../src/host/layout.ts';
import type { Machine } from '../../src/machine/machine.ts';
import { Doors } from '../../src/sandbox/network/doors.ts';
import { keepWhatNeedsNoTrust, planNetwork } from '../../src/sandbox/network/plan.ts';
import { policyOf } from '../../src/sandbox/network/policy.ts';
import type { Sandbox, Sandboxes } from '../../src/sandbox/sandboxes.ts';
import { openDoor, rawOrigin, say } from '../egress/fake-guest.ts';

const folder = mkdtempSync(join(tmpdir(), 'warren-policy-'));
const closing: (() => unknown)[] = [() => rmSync(folder, { recursive: true })];
after(async () => {
  for (const close of closing.reverse()) await close();
});
let homes = 0;

interface Home {
  layout: Layout;
  root: string;
  own: string;
  user: string;
  subject: Parameters<typeof policyOf>[1];
}

function home(): Home {
  const at = join(folder, `home-${homes++}`);
  const layout: Layout = { data: join(at, 'data'), runtime: join(at, 'run'), config: join(at, 'config') };
  const root = join(at, 'repository');
  const own = doorFiles(sandboxFiles(layout, 'abc').folder).policy;
  const user = join(layout.config, 'config.json');
  mkdirSync(root, { recursive: true });
  put(own, '{"version": 1, "allow": [], "deny": [], "fitting": [], "network": null}');
  put(user, '{"egress": {"allow": [{"host": "ok.example", "http": true}]}}');
  return { layout, root, own, user, subject: { id: 'abc', repository: { root } } as never };
}

function put(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

const SPOILED: [what: string, spoil: (file: string) => void][] = [
  ['truncated', (file) => put(file, '{"egress": {"allow": ["ok.exam')],
  ['empty', (file) => put(file, '')],
  ['of the wrong kind', (file) => put(file, '{"egress": {"allow": "*"}, "allow": "*"}')],
  [
    'a folder',
    (file) => {
      rmSync(file, { force: true });
      mkdirSync(file);
    },
  ],
  [
    'a link to itself',
    (file) => {
      rmSync(file, { force: true });
      symlinkSync(file, file);
    },
  ],
  ...(process.getuid?.() === 0
    ? []
    : ([['unreadable', (file) => chmodSync(file, 0)]] satisfies [string, (file: string) => void][])),
];

describe('a repository that takes away from what it would get', () => {
  for (const [what, first, then, holds] of [
    ['all of it', '{"network": "none"}', '{}', 'a.example'],
    ['all of it, and then wants all', '{"network": "none"}', '{"network": "open"}', 'a.example'],
    ['a host', '{"egress": {"deny": ["ok.example"]}}', '{"egress": {}}', 'ok.example'],
    ['a host, and then all that it said', '{"egress": {"deny": ["ok.example"]}}', '{}', 'ok.example'],
  ] as const)
    it(`${what}, gives it back to nobody unasked`, async () => {
      const { layout, root, subject } = home();
      const file = join(root, 'warren.json');
      put(file, first);
      const before = await policyOf(layout, subject);
      await keepWhatNeedsNoTrust(layout, { root }, { fitting: [] });
      assert.deepEqual((await policyOf(layout, subject)).rulesets, before.rulesets);
      put(file, then);
      const after = await policyOf(layout, subject);
      assert.equal(after.trust, 'changed');
      const target = { host: { kind: 'name', name: holds } as const, port: 80 };
      assert.equal(createPolicy(after.rulesets).judgeFlow(target).decision, 'deny');
    });

  it('is not taken to be trusted with what it asks for besides', async () => {
    const { layout, root, subject } = home();
    put(join(root, 'warren.json'), '{"egress": {"allow": ["more.example"], "deny": ["ok.example"]}}');
    await keepWhatNeedsNoTrust(layout, { root }, { fitting: [] });
    assert.equal((await policyOf(layout, subject)).trust, 'new');
  });
});

describe('at the start (NE 2)', () => {
  for (const [what, spoil] of SPOILED) {
    it(`a user’s file that is ${what} lets no sandbox begin`, async () => {
      const { layout, root, user } = home();
      spoil(user);
      await assert.rejects(planNetwork(layout, { root }, null), /config\.json/);
      await assert.rejects(planNetwork(layout, null, null), /config\.json/);
    });

    it(`a repository’s file that is ${what} lets no sandbox begin`, async () => {
      const { layout, root } = home();
      spoil(join(root, 'warren.json'));
      await assert.rejects(planNetwork(layout, { root }, null), /warren\.json/);
    });

    it(`a sandbox’s own file that is ${what} lets nothing out`, async () => {
      const { layout, own, subject } = home();
      spoil(own);
      await assert.rejects(policyOf(layout, subject), { code: 'sandbox.state-corrupt' });
    });
  }

  it('a sandbox’s own file that was deleted lets nothing out: it may have said that there is no network', async () => {
    const { layout, own, subject } = home();
    put(own, '{"version": 1, "allow": [], "deny": [], "fitting": [], "network": "none"}');
    const policy = createPolicy((await policyOf(layout, subject)).rulesets);
    assert.equal(policy.network, 'none');
    rmSync(own);
    await assert.rejects(policyOf(layout, subject), { code: 'sandbox.state-corrupt', message: /it is gone/ });
  });

  it('a user’s file that was deleted takes away what it allowed', async () => {
    const { layout, user, subject } = home();
    const target = { host: { kind: 'name', name: 'ok.example' }, port: 80 } as const;
    const now = async () =>
      createPolicy((await policyOf(layout, subject)).rulesets).judgeFlow(target).decision;
    assert.equal(await now(), 'allow');
    rmSync(user);
    assert.equal(await now(), 'deny');
  });
});

describe('while a door runs', () => {
  it('a file that was spoiled changes nothing, and is written into the journal (NE 2)', async () => {
    const { layout, user, subject } = home();
    const journal: [string, unknown][] = [];
    const sandbox = { record: { ...subject, name: 'demo', state: 'running' } } as unknown as Sandbox;
    const sandboxes = {
      layout,
      list: () => [sandbox],
      files: () => sandboxFiles(layout, subject.id),
      journal: async (_: Sandbox, event: string, facts: { why: string }) =>
        void journal.push([event, facts.why]),
    } as unknown as Sandboxes;
    const doors = new Doors({
      sandboxes,
      secrets: { bindingsFor: async () => [], secretEnvironment: async () => ({}) },
      templates: { get: () => new Promise<never>(() => {}) },
      closedHostPorts: new Set<number>(),
      program: '/nowhere/door-process.js',
      downloads: '/nowhere',
    });
    const machine = {
      alive: true,
      record: { egress: '' },
      link: () => new Promise(() => {}),
      once: () => {},
    };
    doors.keep(sandbox, machine as unknown as Machine);
    await doors.policyChanged(() => true);
    put(user, '{"egress": {"allow": ["ok.exam');
    await assert.rejects(
      doors.policyChanged(() => true),
      { code: 'usage.settings' },
    );
    assert.deepEqual(
      journal.map(([event]) => event),
      ['policy-unusable'],
    );
    assert.match(String(journal[0]![1]), /config\.json/);
  });

  it('a change beside the point leaves every answer as it was (NE 3)', async () => {
    const { layout, user, subject } = home();
    const origin = await rawOrigin((socket) =>
      socket.once('data', () =>
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok'),
      ),
    );
    let policy = createPolicy((await policyOf(layout, subject)).rulesets);
    const door = await openDoor({ policy: () => policy, origins: { 80: origin.port } });
    closing.push(origin.close, () => door.close());
    const answers = async () => {
      const all: string[] = [];
      for (const host of ['ok.example', 'denied.example', 'x.ok.example'])
        all.push(
          (
            await say(
              await door.openName(host, 80),
              `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
            )
          ).slice(0, 12),
        );
      return all;
    };
    const before = await answers();
    assert.deepEqual(before, ['HTTP/1.1 200', 'HTTP/1.1 403', 'HTTP/1.1 403']);
    put(
      user,
      '{"cpus": 3, "namesPort": 7071, /* a word */ "egress": {"allow": [{"host": "ok.example", "http": true}]}}',
    );
    policy = createPolicy((await policyOf(layout, subject)).rulesets);
    assert.deepEqual(await answers(), before);
    assert.equal(door.ended('request').filter(({ decision }) => decision === 'deny').length, 4);
  });
});
