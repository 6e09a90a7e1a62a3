// The real CLI, daemon and door process, and a value that must not be found anywhere but in their memory (SE 56).

import assert from 'node:assert/strict';
import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import type { DoorConfig } from '../../src/egress/door/messages.ts';
import { createAuthority } from '../../src/egress/tls/authority.ts';

const run = promisify(execFile);
const CANARY = 'canary-c0ffee-4711';
const QUIET = '--disable-warning=ExperimentalWarning';
const home = await mkdtemp(join(tmpdir(), 'warren-canary-'));
const folder = (name: string) => join(home, name);
/** Without the variable: a daemon that this starts has not inherited it. */
const env: NodeJS.ProcessEnv = {
  PATH: process.env['PATH'],
  HOME: home,
  XDG_DATA_HOME: folder('data'),
  XDG_CONFIG_HOME: folder('config'),
  XDG_RUNTIME_DIR: folder('run'),
  WARREN_DAEMON: resolve('src/daemon/main.ts'),
  WARREN_AGENT: folder('agent'),
};

async function warren(args: string[], more: NodeJS.ProcessEnv = {}, input?: string) {
  const running = run(process.execPath, [QUIET, resolve('src/cli/main.ts'), ...args], {
    env: { ...env, ...more },
    cwd: home,
  });
  running.child.stdin!.end(input);
  return await running.then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
}

async function everything(): Promise<string> {
  let text = '';
  for (const entry of await readdir(home, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) text += await readFile(join(entry.parentPath, entry.name), 'latin1');
  return text;
}

const ofProcess = (pid: number) =>
  ['cmdline', 'environ'].map((name) => readFileSync(`/proc/${pid}/${name}`, 'latin1')).join('');

before(async () => {
  await mkdir(folder('run'), { mode: 0o700 });
  await writeFile(folder('agent'), '');
  // A daemon has the environment of the command that started it.
  await warren(['daemon', 'start']);
});
after(async () => {
  await warren(['daemon', 'stop']);
  await rm(home, { recursive: true, force: true });
});

describe('a value', () => {
  it('is nowhere after the CLI told it to the daemon', async () => {
    const add = ['secret', 'add', 'TOKEN', '--host', 'api.example.com', '--global'];
    const told = await warren([...add, '--from', 'env:REAL'], { REAL: CANARY });
    assert.equal(told.code, 0, told.stderr);
    const piped = await warren(
      ['secret', 'add', 'ASKED', '--host', 'b.example.com', '--global'],
      {},
      `${CANARY}\n`,
    );
    assert.equal(piped.code, 0, piped.stderr);
    const listed = await warren(['secret', 'ls', '--json']);
    assert.deepEqual(
      JSON.parse(listed.stdout).map(({ name, known }: { name: string; known: boolean }) => [name, known]),
      [
        ['TOKEN', true],
        ['ASKED', true],
      ],
    );
    const table = await warren(['secret', 'ls']);
    assert.match(table.stdout, /TOKEN +all sandboxes +api\.example\.com +env:REAL +TOKEN +- +ok/);
    const status = JSON.parse((await warren(['daemon', 'status', '--json'])).stdout);
    const said = [told, piped, listed, table].map(({ stdout, stderr }) => stdout + stderr).join('');
    for (const where of [said, await everything(), ofProcess(status.pid)]) assert.ok(!where.includes(CANARY));
  });

  it('is not told by an error, with or without its stack', async () => {
    const add = ['secret', 'add', 'BAD', '--host', 'api.example.com', '--global'];
    const wrong: [string[], NodeJS.ProcessEnv, string?][] = [
      [[...add, '--from', 'env:REAL'], { REAL: `${CANARY}\nX: y` }],
      [add, {}, `${CANARY}\0`],
      [['secret', 'add', 'BAD', '--host', '*', '--global', '--from', 'env:REAL'], { REAL: CANARY }],
      [[...add, '--from', 'env:UNSET'], { REAL: CANARY }],
      [[...add, '--from', 'file:/nowhere/token'], {}],
      [[...add, '--from', `file:${home}`], {}],
      [[...add, '--from', CANARY], {}],
    ];
    for (const [args, more, input] of wrong) {
      const { code, stdout, stderr } = await warren(args, { ...more, WARREN_DEBUG: '1' }, input);
      assert.equal(code, 2, stderr);
      assert.match(stderr, /error: cannot /);
      assert.ok(!(stdout + stderr).includes(CANARY));
    }
    assert.ok(!(await everything()).includes(CANARY));
  });

  it('is gone with its secret', async () => {
    assert.equal((await warren(['secret', 'rm', '--global', 'TOKEN'])).code, 0);
    const again = await warren(['secret', 'rm', '--global', 'TOKEN']);
    assert.match(again.stderr, /there is no secret "TOKEN"/);
    assert.equal(again.code, 1);
  });

  it('reaches a door process by its channel alone', async () => {
    // A guest that never answers: the door waits for it, and has its secrets by then.
    const socket = folder('egress');
    const guest = createServer(() => {}).listen(socket);
    await once(guest, 'listening');
    const door = fork(resolve('src/door-process/main.ts'), [], {
      execArgv: [QUIET],
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      serialization: 'advanced',
    });
    let said = '';
    for (const stream of [door.stdout!, door.stderr!])
      stream.on('data', (chunk) => {
        said += chunk;
      });
    const config: DoorConfig = {
      type: 'config',
      closedHostPorts: [],
      name: 'demo',
      socket,
      namesFile: folder('names.txt'),
      auditFile: folder('audit.jsonl'),
      authority: await createAuthority('Warren test'),
      rulesets: [],
      secrets: [
        {
          name: 'TOKEN',
          hosts: ['api.example.com'],
          placeholder: `wrn_${'a'.repeat(32)}`,
          source: { kind: 'value', value: CANARY },
          query: false,
          body: false,
        },
      ],
      extraCa: [],
      upstreamProxy: null,
      downloads: null,
      idleMs: 60_000,
    };
    const attached = once(guest, 'connection');
    door.send(config);
    const [connection] = await attached;
    const inProcess = ofProcess(door.pid!);
    const ended = once(door, 'close');
    connection.destroy();
    guest.close();
    door.kill('SIGKILL');
    await ended;
    for (const where of [inProcess, said, await everything()]) assert.ok(!where.includes(CANARY));
  });
});
