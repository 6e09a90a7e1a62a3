// `warren doctor --attack` with a real machine: green here, BROKEN when a defence is taken away, and nothing stays.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { SandboxView } from '../../src/protocol/api.ts';
import type { AttackView } from '../../src/protocol/attack.ts';
import { ATTACKS } from '../../src/sandbox/attack/attacks.ts';
import { openWarren, processes, until } from './harness.ts';

const warren = openWarren();

async function nothingLeft(): Promise<void> {
  await until('the sandbox is gone', async () =>
    (await warren.json<SandboxView[]>(['ls'])).length === 0 ? true : undefined,
  );
  const folder = join(warren.data, 'sandboxes');
  assert.deepEqual(existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith('.')) : [], []);
  assert.deepEqual(
    processes((args) => args.includes('-name') && args.some((arg) => arg.includes(warren.home))),
    [],
  );
  const secrets = join(warren.home, '.config/warren/secrets.json');
  assert.ok(!existsSync(secrets) || !readFileSync(secrets, 'utf8').includes('ATTACK'));
}

describe('warren doctor --attack', { timeout: 900_000 }, () => {
  it('tells what held, of every attack, and leaves nothing', async () => {
    const views = await warren.json<AttackView[]>(['doctor', '--attack']);
    assert.deepEqual(
      views.map(({ id, outcome }) => [id, outcome]),
      ATTACKS.map(({ id }) => [id, 'held']),
      JSON.stringify(views.filter(({ outcome }) => outcome !== 'held')),
    );
    await nothingLeft();
  });

  it('says BROKEN when a port of this computer is open, and exits with 1', async () => {
    const { code, stdout, stderr } = await warren.run(['doctor', '--attack', '--weaken', 'host-service']);
    assert.equal(code, 1, stderr);
    assert.match(stdout, /^DA 111 .*BROKEN: \d+ connections reached a port of this computer$/m);
    assert.match(stdout, /^VH 98 .* held$/m);
    assert.match(stderr, /NE 31: UDP[\s\S]*BROKEN: DA 111\n/);
    await nothingLeft();
  });

  it('leaves nothing when it is broken off in the middle of an attack', async () => {
    let pid = 0;
    const running = warren.run(['doctor', '--attack'], { onStart: (started) => (pid = started) });
    await until('the sandbox runs', async () =>
      (await warren.json<SandboxView[]>(['ls'])).some(({ state }) => state === 'running') ? true : undefined,
    );
    process.kill(pid, 'SIGINT');
    const { code, stderr } = await running;
    assert.equal(code, 130, stderr);
    assert.match(stderr, /cancelled/);
    await nothingLeft();
  });

  it('weakens only what there is', async () => {
    await warren.fails(['doctor', '--attack', '--weaken', 'everything'], 'usage.attack');
  });
});
