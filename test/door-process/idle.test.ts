// A door process costs nothing while nobody needs it: it ends by itself,.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { openDoor } from '../../src/door-process/door.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';
import { createAuthority } from '../../src/egress/tls/authority.ts';

const IDLE_MS = 300;

describe('a door', () => {
  const folder = mkdtempSync(join(tmpdir(), 'warren-idle-'));
  let agent: ChildProcess;

  before(async () => {
    agent = spawn(resolve('dist/warren-agent'), ['-listen', folder], { stdio: 'ignore' });
    while (!existsSync(join(folder, 'egress'))) await new Promise((resolve) => setTimeout(resolve, 10));
  });
  after(async () => {
    agent.kill('SIGKILL');
    await once(agent, 'exit');
    rmSync(folder, { recursive: true });
  });

  it('that has nothing to do ends by itself', async () => {
    const door = await openDoor(
      {
        type: 'config',
        closedHostPorts: [],
        name: 'demo',
        socket: join(folder, 'egress'),
        namesFile: join(folder, 'names.txt'),
        auditFile: join(folder, 'audit.jsonl'),
        authority: await createAuthority('Warren test'),
        rulesets: [parsePolicy({ egress: {} }, { source: 'project', file: 'project.json' })],
        secrets: [],
        extraCa: [],
        upstreamProxy: null,
        downloads: null,
        idleMs: IDLE_MS,
      },
      () => {},
    );
    const openedMs = performance.now();
    await door.ended;
    const tookMs = performance.now() - openedMs;
    assert.ok(tookMs >= IDLE_MS, `${tookMs} ms`);
  });
});
