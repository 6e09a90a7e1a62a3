// Programs in a sandbox as a person and a script meet them: exit codes, bytes, signals, a real terminal, copies.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { DaemonInfo } from '../../src/protocol/api.ts';
import { openWarren, until, write } from './harness.ts';
import { openTerminal, type Terminal } from './terminal.ts';

const warren = openWarren();
const MIB = 1024 * 1024;

before(async () => {
  await warren.ok(['up', '--detach', '--name', 'work'], { cwd: warren.repository('work') });
});

describe('exec', { timeout: 900_000 }, () => {
  it('passes exit codes and signals through', async () => {
    for (const code of [0, 1, 7, 126, 255]) {
      assert.equal((await warren.run(['exec', 'work', '--', 'sh', '-c', `exit ${code}`])).code, code);
    }
    assert.equal((await warren.run(['exec', 'work', '--', 'sh', '-c', 'kill -TERM $$'])).code, 143);
    assert.equal((await warren.run(['exec', 'work', '--', 'sh', '-c', 'kill -KILL $$'])).code, 137);
    await warren.fails(['exec', 'work', '--', 'no-such-program'], 'agent.invalid-argument');
  });

  it('keeps stdout and stderr apart, and every byte as it is', async () => {
    const both = await warren.run(['exec', 'work', '--', 'sh', '-c', 'echo out; echo err >&2']);
    assert.deepEqual([both.stdout, both.stderr], ['out\n', 'err\n']);
    const bytes = randomBytes(8 * MIB);
    const sum = createHash('sha256').update(bytes).digest('hex');
    assert.equal(await warren.ok(['exec', '-i', 'work', '--', 'sha256sum'], { input: bytes }), `${sum}  -\n`);
    const file = join(warren.home, 'bytes');
    writeFileSync(file, bytes);
    execFileSync('sh', ['-c', `"$0" exec -i work -- cat < "$1" > "$1.back"`, resolve('bin/warren'), file], {
      env: warren.env,
      cwd: warren.home,
    });
    assert.ok(bytes.equals(readFileSync(`${file}.back`)));
  });

  it('nothing of 2,000,000 lines is lost or reordered', async () => {
    const text = await warren.ok(['exec', 'work', '--', 'seq', '2000000']);
    let line = 0;
    for (const got of text.trimEnd().split('\n')) assert.equal(Number(got), ++line);
    assert.equal(line, 2_000_000);
  });

  it('output that nobody reads waits in the guest, not in the host', async () => {
    const daemon = async () => await warren.json<DaemonInfo>(['daemon', 'status']);
    const before = (await daemon()).rssMib;
    const flood = spawn(resolve('bin/warren'), ['exec', 'work', '--', 'sh', '-c', 'exec yes'], {
      env: warren.env,
      cwd: warren.home,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    try {
      await new Promise((resolve) => flood.stdout.once('readable', () => resolve(undefined)));
      await new Promise((resolve) => setTimeout(resolve, 4000));
      assert.equal(await warren.sh('work', 'echo answers'), 'answers\n');
      assert.ok((await daemon()).rssMib - before < 64, 'the daemon keeps what is not read');
      const rssMib =
        Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${flood.pid}/status`, 'utf8'))![1]) / 1024;
      assert.ok(rssMib < 250, `the command keeps ${rssMib} MiB`);
    } finally {
      flood.kill('SIGKILL');
      await warren.run(['exec', 'work', '--', 'pkill', 'yes']);
    }
  });

  it('takes user, folder and variables', async () => {
    assert.equal(await warren.sh('work', 'id -un', ['--user', 'root']), 'root\n');
    assert.equal(await warren.sh('work', 'pwd', ['--cwd', '/tmp']), '/tmp\n');
    assert.equal(await warren.sh('work', 'echo "$A|$B"', ['-e', 'A=1 2', '-e', 'B=ü']), '1 2|ü\n');
    await warren.fails(['exec', '--user', 'nobody-here', 'work', '--', 'true'], 'agent.unauthenticated');
    await warren.fails(['exec', '--cwd', '/nowhere', 'work', '--', 'true'], 'agent.invalid-argument');
    await warren.fails(['exec', '-e', '1=2', 'work', '--', 'true'], 'usage.variable');
  });

  it('passes a signal on to the program', async () => {
    const child = spawn(
      resolve('bin/warren'),
      [
        'exec',
        'work',
        '--',
        'sh',
        '-c',
        'trap "echo caught; exit 5" INT; echo ready; while :; do sleep 0.1; done',
      ],
      { env: warren.env },
    );
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)));
    await until('the program is ready', () => text.includes('ready') || undefined);
    child.kill('SIGINT');
    assert.equal(await ended, 5);
    assert.match(text, /caught/);
  });

  it('fifty at once', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, nr) => warren.sh('work', `echo ${nr}`)));
    assert.deepEqual(
      answers,
      Array.from({ length: 50 }, (_, nr) => `${nr}\n`),
    );
  });
});

describe('shell on a terminal', { timeout: 900_000 }, () => {
  let terminal: Terminal;
  const type = (...keys: string[]) => terminal.type(...keys);
  const shows = (pattern: RegExp) => terminal.shows(pattern);
  const tmux = (...args: string[]) => terminal.tmux(...args);
  const PROMPT = /user@work:\S*\$ $/m;

  before(() => {
    terminal = openTerminal(warren, ['shell', 'work']);
  });
  after(() => terminal.close());

  it('size, UTF-8, Ctrl-C, job control, exit code', async () => {
    await shows(/work:/);
    type('stty size', 'Enter');
    await shows(/^30 100$/m);
    tmux('resize-window', '-x', '90', '-y', '25');
    type('clear; stty size', 'Enter');
    await shows(/^25 90$/m);
    type('echo "grü""ße 漢字"', 'Enter');
    await shows(/^grüße 漢字$/m);
    type('sleep 1000', 'Enter');
    await until(
      'sleep runs',
      async () => (await warren.run(['exec', 'work', '--', 'pgrep', '-x', 'sleep'])).code === 0 || undefined,
    );
    type('C-c');
    type('echo "status" $?', 'Enter');
    await shows(/^status 130$/m);
    type('sleep 1000', 'Enter');
    await until(
      'sleep runs',
      async () => (await warren.run(['exec', 'work', '--', 'pgrep', '-x', 'sleep'])).code === 0 || undefined,
    );
    type('C-z');
    await shows(/Stopped\s+sleep 1000/);
    type('kill %1; clear', 'Enter');
    type('tty; exit 9', 'Enter');
    await shows(/left with 9/);
  });

  it('is left with Ctrl-P Ctrl-Q and taken up again', async () => {
    type(`clear; ${resolve('bin/warren')} shell work`, 'Enter');
    await shows(PROMPT);
    type('X=kept', 'Enter');
    type('C-p', 'C-q');
    await shows(/the session goes on with pid (\d+)/);
    const pid = /pid (\d+)/.exec(terminal.screen())![1]!;
    type(`clear; ${resolve('bin/warren')} shell work --session ${pid}`, 'Enter');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    type('echo "X is $X"', 'Enter');
    await shows(/^X is kept$/m);
    type('exit', 'Enter');
  });
});

describe('cp', { timeout: 900_000 }, () => {
  it('brings trees in and out as they are', async () => {
    const tree = join(warren.home, 'tree');
    write(tree, {
      'a b.txt': 'text',
      'deep/ü.txt': 'umlaut',
      'deep/run.sh': '#!/bin/sh\necho ran\n',
      [`long/${'n'.repeat(200)}/${'m'.repeat(200)}`]: 'x',
    });
    execFileSync('chmod', ['755', join(tree, 'deep/run.sh')]);
    mkdirSync(join(tree, 'empty'));
    symlinkSync('a b.txt', join(tree, 'link'));
    writeFileSync(join(tree, 'big'), randomBytes(8 * MIB));
    await warren.ok(['cp', tree, 'work:/tmp/']);
    assert.equal(await warren.sh('work', '/tmp/tree/deep/run.sh; stat -c %U /tmp/tree/big'), 'ran\nuser\n');
    await warren.ok(['cp', 'work:/tmp/tree', join(warren.home, 'back')]);
    execFileSync('diff', ['-r', tree, join(warren.home, 'back')]);
    assert.equal(readlinkSync(join(warren.home, 'back/link')), 'a b.txt');
    assert.equal(statSync(join(warren.home, 'back/deep/run.sh')).mode & 0o777, 0o755);
    await warren.ok(['cp', 'work:/etc/hostname', join(warren.home, 'hostname')]);
    assert.equal(readFileSync(join(warren.home, 'hostname'), 'utf8'), 'work\n');
  });

  it('never writes through what a guest sends', async () => {
    await warren.sh(
      'work',
      'mkdir -p /tmp/evil && ln -sfn /etc /tmp/evil/dir && ln -sfn ../../outside /tmp/evil/up',
    );
    await warren.run(['cp', 'work:/tmp/evil', join(warren.home, 'evil')]);
    await warren.sh(
      'work',
      'rm -r /tmp/evil && mkdir -p /tmp/evil/dir && echo owned > /tmp/evil/dir/warren-owned',
    );
    await warren.run(['cp', 'work:/tmp/evil', join(warren.home, 'evil')]);
    assert.throws(() => statSync('/etc/warren-owned'));
    await warren.sh(
      'work',
      'rm -rf /tmp/evil; mkdir -p /tmp/odd && cd /tmp/odd && echo a > file && ln file hard && mkfifo pipe && sudo mknod zero c 1 5 && echo s > su && chmod 6755 su && ln -s /etc/shadow shadow && ln -s file ok && mkdir d && printf x > "$(printf "d/new\\nline")"',
    );
    const odd = join(warren.home, 'odd');
    await warren.run(['cp', 'work:/tmp/odd', odd]);
    const [file, hard] = ['file', 'hard'].map((name) => statSync(join(odd, name)));
    assert.notEqual(file!.ino, hard!.ino, 'a hard link comes as a file of its own');
    assert.equal(statSync(join(odd, 'su')).mode & 0o7777, 0o755);
    assert.equal(readlinkSync(join(odd, 'ok')), 'file');
    for (const name of ['pipe', 'zero', 'shadow']) assert.throws(() => lstatSync(join(odd, name)), name);
    await warren.fails(['cp', 'work:/no/such', '.'], 'agent.not-found');
    await warren.fails(['cp', 'a', 'b'], 'usage.cp');
    await warren.fails(['cp', 'work:/a', 'work:/b'], 'usage.cp');
  });
});
