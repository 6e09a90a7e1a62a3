// What many flows hold: a door process of its own, with the guest and the origin of the bench (`npm run bench -- door
// --only held` prints figures). Measured here: 73 MiB more on an idle computer, up to 133 MiB on a busy one, 240 MiB when
// flows are bounded by nothing.

import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import type { GuestConfig, Load, OriginPorts } from '../../bench/door/words.ts';
import { DOOR_ENVIRONMENT, DOOR_NODE_FLAGS } from '../../src/egress/door/node-flags.ts';
import { Authority, createAuthority } from '../../src/egress/tls/authority.ts';

const FLOWS = 512;
const MAX_GROWN_MIB = 170;
const folder = mkdtempSync(join(tmpdir(), 'warren-many-'));
const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true, force: true });
});

async function start<T>(program: string, config: object): Promise<{ child: ChildProcess; told: T }> {
  const isDoor = program === 'serve';
  const child = fork(new URL(`../../bench/door/${program}.ts`, import.meta.url), {
    execArgv: ['--disable-warning=ExperimentalWarning', ...(isDoor ? DOOR_NODE_FLAGS : [])],
    env: { ...process.env, ...(isDoor && DOOR_ENVIRONMENT) },
  });
  children.push(child);
  child.send(config);
  const [told] = await once(child, 'message');
  return { child, told: told as T };
}

function rssMib({ pid }: ChildProcess): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
}

it(`${FLOWS} downloads that nobody reads are bounded in the door's memory (NE 41)`, async () => {
  const guestAuthority = await createAuthority('Warren test guest');
  const originAuthority = await createAuthority('Warren test origin');
  const caPem = (await Authority.open(guestAuthority)).certificatePem;
  const originCertificatePem = (await Authority.open(originAuthority)).certificatePem;
  const { told: origin } = await start<OriginPorts>('origin', { authority: originAuthority });
  const door = await start<{ socket: string }>('serve', {
    folder,
    guestAuthority,
    originCertificatePem,
    origin,
  });
  const guest: GuestConfig = { socket: door.told.socket, caPem, originCertificatePem, origin };
  const { child } = await start('guest', guest);
  const before = rssMib(door.child);
  const load: Load = { type: 'hold', flows: FLOWS, over: 'https', how: 'unread' };
  child.send(load);
  let most = before;
  const look = setInterval(() => {
    most = Math.max(most, rssMib(door.child));
  }, 50);
  const [{ answer }] = await once(child, 'message');
  clearInterval(look);
  assert.ok(answer >= 100 && answer <= 128, `${answer} are served at once`);
  assert.ok(most - before < MAX_GROWN_MIB, `${Math.round(most - before)} MiB more`);
});
