// Git in a machine, with a token that the machine never has (SE 49).

import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import type { SandboxDetail } from '../../src/protocol/api.ts';
import { allow, audited, auditOf, DENIED, openDoorWarren, origin } from './door-origins.ts';
import { type GitOrigin, gitOrigin } from './git-origin.ts';

const warren = openDoorWarren();
const NAME = 'pushing';
const TOKEN = 'ghp_canary0real0token0of0the0host000';
const HELPER = `'!f() { echo username=x; echo "password=$TOKEN"; }; f'`;
let git: GitOrigin;
let port = 0;

before(async () => {
  git = gitOrigin(join(warren.home, 'git'), 'app.git', TOKEN);
  ({ port } = await origin(git.listener));
  allow(warren, {
    host: 'git.warren.test',
    ports: [port],
    allowPrivate: true,
    git: { fetch: true, push: 'refs/heads/warren/*' },
  });
  const repository = warren.repository(NAME);
  warren.git(repository, 'push', '-q', git.folder, 'main');
  const secret = ['secret', 'add', 'TOKEN', '--host', `git.warren.test:${port}`, '--from', 'env:REAL'];
  // A daemon has the environment of the command that starts it.
  await warren.ok(['daemon', 'start']);
  await warren.ok(secret, { cwd: repository, env: { REAL: TOKEN } });
  await warren.ok(['up', '--detach'], { cwd: repository });
});

const guest = async (line: string) => await warren.run(['exec', NAME, '--', 'sh', '-c', line]);

describe('git in a machine', { timeout: 900_000 }, () => {
  it('clones and pushes with a token that the door puts in', async () => {
    const done = await guest(
      `git config --global credential.helper ${HELPER} && git config --global user.name Ann && git config --global user.email ann@example.com &&
       git clone -q https://git.warren.test:${port}/app.git /tmp/app && cd /tmp/app && cat a.txt &&
       git switch -q -c warren/work && git commit -q --allow-empty -m work && git push -q origin warren/work`,
    );
    assert.equal(done.code, 0, done.stderr);
    assert.equal(done.stdout, 'one\n');
    assert.equal(warren.git(git.folder, 'log', '-1', '--format=%s', 'warren/work'), 'work\n');
    assert.deepEqual([...git.told], [TOKEN]);
    const push = await audited(
      warren,
      NAME,
      (event) => 'path' in event && event.path === '/app.git/git-receive-pack' && event.status === 200,
    );
    assert.ok('secrets' in push && push.decision === 'allow');
    assert.deepEqual(push.secrets, ['TOKEN']);
  });

  it('may change no other ref, and is told so', async () => {
    const before = warren.git(git.folder, 'for-each-ref');
    const push = await guest('cd /tmp/app && git push origin warren/work:main');
    assert.notEqual(push.code, 0);
    assert.match(
      push.stderr,
      /remote: Warren: the push is refused: it would change refs\/heads\/main, and only refs\/heads\/warren\/\* may be/,
    );
    assert.equal(warren.git(git.folder, 'for-each-ref'), before);
    const denied = await audited(
      warren,
      NAME,
      (event) => 'path' in event && event.path.endsWith('/git-receive-pack') && event.decision === 'deny',
    );
    assert.match(denied.reason ?? '', /^the push is refused: it would change refs\/heads\/main/);
  });

  it('may do nothing there but what git does', async () => {
    const { stdout } = await guest(`curl -sS https://git.warren.test:${port}/app.git/HEAD`);
    assert.match(stdout, /only git itself may use it/);
  });

  it('is told where it may not go', async () => {
    const clone = await guest(`git clone https://${DENIED}:${port}/app.git /tmp/other`);
    assert.equal(clone.code, 128);
    assert.match(
      clone.stderr,
      new RegExp(`remote: Warren: denied\\.warren\\.test:${port}: no rule allows it`),
    );
    assert.match(clone.stderr, /remote: to allow it: warren policy allow pushing denied/);
    const denied = await audited(warren, NAME, ({ host }) => host === DENIED);
    assert.equal(denied.decision, 'deny');
  });

  it('sends the token’s stand-in nowhere else', async () => {
    const { stdout } = await guest(`curl -sS -H "X-Key: $TOKEN" https://${DENIED}:${port}/`);
    assert.match(stdout, /no rule allows it/);
    assert.deepEqual([...git.told], [TOKEN]);
  });
});

describe('the token’s value', { timeout: 900_000 }, () => {
  it('is in no variable, no process and no memory of the machine (SE 49)', async (t) => {
    const own = await guest('printf %s "$TOKEN"');
    const placeholder = own.stdout;
    assert.match(placeholder, /^\w+_[a-z2-7]{32}$/);
    await warren.ok(['pause', NAME]);
    const { machine } = await warren.json<SandboxDetail>(['show', NAME]);
    const searched = search(machine!.pid, ['canary0real0token', placeholder.slice(4)]);
    if (searched === null) return t.skip('this user may not read the memory of the VMM');
    const [real, stands] = searched;
    assert.ok(stands! > 0, 'what stands for it is found, so the search finds');
    assert.equal(real, 0, 'the value is in the memory of the machine');
    await warren.ok(['resume', NAME]);
    // The pattern does not hold the value; grep's memory does.
    const found = await guest(
      "sudo grep -alrE 'canary0[r]eal0token' /proc/[0-9]*/environ /proc/[0-9]*/cmdline /home /tmp /run /workspaces 2>/dev/null",
    );
    assert.equal(found.stdout, '');
  });

  it('is in no record', async () => {
    assert.ok(!JSON.stringify(await auditOf(warren, NAME)).includes(TOKEN));
  });
});

const CHUNK_BYTES = 16 * 1024 * 1024;

/** How often each text is in a process's memory; null when it may not be read. */
function search(pid: number, texts: string[]): number[] | null {
  let memory: number;
  try {
    memory = openSync(`/proc/${pid}/mem`, 'r');
  } catch {
    return null;
  }
  const counts = texts.map(() => 0);
  const overlap = Math.max(...texts.map(({ length }) => length)) - 1;
  const chunk = Buffer.alloc(CHUNK_BYTES + overlap);
  for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) r/.exec(line) ?? [];
    if (!from || !to || from.length > 12) continue;
    const end = Number.parseInt(to, 16);
    for (let at = Number.parseInt(from, 16); at < end; at += CHUNK_BYTES) {
      let bytes: number;
      try {
        bytes = readSync(memory, chunk, 0, Math.min(chunk.length, end - at), at);
      } catch {
        break; // a device's
      }
      texts.forEach((text, nr) => {
        if (chunk.subarray(0, bytes).includes(text)) counts[nr]! += 1;
      });
    }
  }
  closeSync(memory);
  return counts;
}
