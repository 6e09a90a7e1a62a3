// The door over the deaths and pauses of all who carry it: what is open ends or goes on, nothing leaves meanwhile, and
// the next request works, with the same rules.

import assert from 'node:assert/strict';
import { before, beforeEach, describe, it } from 'node:test';
import type { DaemonInfo, SandboxDetail } from '../../src/protocol/api.ts';
import {
  allow,
  audited,
  DENIED,
  type Origin,
  openDoorWarren,
  origin,
  type Web,
  web,
} from './door-origins.ts';
import { SSE_CLIENT } from './door-programs.ts';
import { clockOffS, until } from './harness.ts';

const warren = openDoorWarren();
const NAME = 'lives';
const site: Web = web();
let secure: Origin;
let plain: Origin;

before(async () => {
  [secure, plain] = await Promise.all([origin(site.listener), origin(site.listener, { secure: false })]);
  allow(
    warren,
    { host: 'web.warren.test', ports: [secure.port], allowPrivate: true },
    { host: 'web.warren.test', ports: [plain.port], protocol: 'http', allowPrivate: true },
  );
  await warren.ok(['up', '--detach'], { cwd: warren.repository(NAME, { 'sse.mjs': SSE_CLIENT }) });
});

const guest = async (line: string) => await warren.run(['exec', NAME, '--', 'sh', '-c', line]);
const doorPid = async () => (await warren.json<SandboxDetail>(['show', NAME])).network.doorPid;
const url = (host = 'web.warren.test') => `https://${host}:${secure.port}`;

async function worksAsBefore(): Promise<void> {
  const good = await guest(`curl -sS --max-time 60 ${url()}/`);
  assert.equal(good.stdout, 'hello from web.warren.test\n', good.stderr);
  const bad = await guest(`curl -sS --max-time 60 ${url(DENIED)}/`);
  assert.match(bad.stdout, /no rule allows it/);
  assert.ok(!secure.asked.some((each) => each.startsWith(DENIED)));
}

/** A command that waits for an answer that never ends; `running` answers how it ended. */
async function hold(): Promise<{ running: ReturnType<typeof guest>; broken(): Promise<unknown> }> {
  const before = { ...site.held };
  const running = guest(`curl -sSN ${url()}/held`);
  await until('the origin has the request', () => site.held.begun > before.begun || undefined);
  const broken = () => until('the origin is told', () => site.held.broken > before.broken || undefined);
  return { running, broken };
}

describe('a way out', { timeout: 900_000 }, () => {
  beforeEach(worksAsBefore);

  it('whose door process is killed resets what is open, and has another at the next request', async () => {
    const { running, broken } = await hold();
    const pid = (await doorPid())!;
    process.kill(pid, 'SIGKILL');
    const ended = await running;
    assert.notEqual(ended.code, 0, 'a download whose door died does not look whole');
    await broken();
    const asked = secure.asked.length;
    await until('there is no door', async () => (await doorPid()) === null || undefined);
    assert.equal(secure.asked.length, asked);
    await worksAsBefore();
    assert.notEqual(await doorPid(), pid);
  });

  it('whose daemon is killed resets what is open, and works after the next command', async () => {
    const { running, broken } = await hold();
    const pid = (await doorPid())!;
    process.kill((await warren.json<DaemonInfo>(['daemon', 'status'])).pid, 'SIGKILL');
    assert.notEqual((await running).code, 0);
    await broken();
    await worksAsBefore();
    assert.notEqual(await doorPid(), pid);
  });

  it('goes on after a pause, with what was open', async () => {
    const events = guest(`node sse.mjs ${url()}`);
    await until(
      'the first event is asked for',
      () => secure.asked.some((each) => each.endsWith('/events')) || undefined,
    );
    await warren.ok(['pause', NAME]);
    await warren.ok(['resume', NAME]);
    assert.equal((await events).stdout, 'data: one\ndata: two\n');
    await worksAsBefore();
  });

  it('is there again after stop and start', async () => {
    await warren.ok(['stop', NAME]);
    assert.equal(await doorPid(), null);
    await warren.ok(['start', NAME]);
    await worksAsBefore();
  });

  it('with a clock that is weeks behind or a day ahead: certificates verify', async () => {
    for (const off of ['-20 days', '+1 day']) {
      await guest(`sudo date -s '${off}'`);
      const tls = await guest(`curl -sS --max-time 60 ${url()}/`);
      assert.equal(tls.stdout, 'hello from web.warren.test\n', `${off}: ${tls.stderr}`);
      await warren.ok(['pause', NAME]);
      await warren.ok(['resume', NAME]);
    }
  });

  it('with a clock that is years off: TLS says so, plain HTTP works, and a resume sets the clock', async () => {
    for (const [years, why] of [
      ['+2', /expired/],
      ['-2', /not yet valid/],
    ] as const) {
      await guest(`sudo date -s '${years} years'`);
      const tls = await guest(`curl -sS --max-time 60 ${url()}/skew`);
      assert.equal(tls.code, 60, tls.stderr);
      assert.match(tls.stderr, why);
      const http = await guest(`curl -sS --max-time 60 http://web.warren.test:${plain.port}/skew${years}`);
      assert.equal(http.stdout, 'hello from web.warren.test\n', http.stderr);
      const event = await audited(warren, NAME, (each) => 'path' in each && each.path === `/skew${years}`);
      const { time } = event as unknown as { time: string };
      assert.ok(
        Math.abs(Date.parse(time) - Date.now()) < 3_600_000,
        `the audit has this computer's time: ${time}`,
      );
      await warren.ok(['pause', NAME]);
      await warren.ok(['resume', NAME]);
      const offS = await clockOffS(warren, NAME);
      assert.ok(offS < 60, `the clock is ${offS} s off`);
      await worksAsBefore();
    }
  });
});
