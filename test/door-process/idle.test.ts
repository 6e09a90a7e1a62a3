// A door process costs nothing while nobody needs it: it ends by itself.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { openDoor } from '../../src/door-process/door.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';
import { createAuthority } from '../../src/egress/tls/authority.ts';
import { type RunningAgent, startAgent } from '../machine/agent-process.ts';

/** Much longer than a door takes to open. */
const IDLE_MS = 1_000;

describe('a door', () => {
  let agent: RunningAgent;

  before(async () => {
    agent = await startAgent();
  });
  after(() => agent.stop());

  it('that has nothing to do ends by itself', async () => {
    // Its time runs within this: from its end on, it may have passed already.
    const beganMs = performance.now();
    const door = await openDoor(
      {
        type: 'config',
        closedHostPorts: [],
        name: 'demo',
        socket: agent.egress,
        namesFile: join(agent.folder, 'names.txt'),
        auditFile: join(agent.folder, 'audit.jsonl'),
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
    await door.ended;
    const tookMs = performance.now() - beganMs;
    assert.ok(tookMs >= IDLE_MS, `${tookMs} ms`);
  });
});
