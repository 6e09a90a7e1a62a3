// A guest whose root is hostile, and a VMM that dies: the host's commands fail in words or go on, other sandboxes and the
// person's terminal notice nothing, nothing half stays (NE 2, AP 67, GH 86, SE 57, VH 96).

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { JournalRecord, SandboxDetail, TemplateView } from '../../src/protocol/api.ts';
import { openWarren, processes, removeAfter, until } from './harness.ts';

const warren = openWarren();
const detail = async (name: string) => await warren.json<SandboxDetail>(['show', name]);
const up = async (name: string, files?: Record<string, string>) => {
  const repository = warren.repository(name, files);
  await warren.ok(['up', '--detach', '--name', name], { cwd: repository });
  return repository;
};

/** As root: takes the agent's descriptors of the channel, and pours garbage into them. Prints how much. */
const GARBAGE = `
import ctypes, glob, os
libc = ctypes.CDLL(None, use_errno=True)
written = 0
for entry in glob.glob('/proc/[0-9]*/cmdline'):
    if b'-in-machine' not in open(entry, 'rb').read():
        continue
    pid = int(entry.split('/')[2])
    pidfd = libc.syscall(434, pid, 0)
    for name in os.listdir(f'/proc/{pid}/fd'):
        if 'vport' in os.readlink(f'/proc/{pid}/fd/{name}'):
            fd = libc.syscall(438, pidfd, int(name), 0)
            os.set_blocking(fd, False)
            for _ in range(64):
                try:
                    written += os.write(fd, os.urandom(4096))
                except BlockingIOError:
                    break
open('/tmp/written', 'w').write(str(written))
`;

describe('an agent', { timeout: 900_000 }, () => {
  it('whose streams carry garbage breaks what is open, and is attached to anew; no other sandbox notices (AP 67)', async (t) => {
    removeAfter(t, warren, 'garbage', 'bystander');
    await up('bystander');
    await up('garbage', { 'garbage.py': GARBAGE });
    const daemon = await warren.json<{ pid: number }>(['daemon', 'status']);
    const poured = await warren.run(['exec', 'garbage', '--', 'sudo', 'python3', 'garbage.py']);
    // Its own command is cut off, or was done before: either way it ends.
    if (poured.code !== 0) assert.match(poured.stderr, /\[(?:machine|agent)\.[a-z-]+\]/);
    assert.equal(await warren.sh('bystander', 'echo here'), 'here\n');
    const written = await until('the machine answers again', async () => {
      const again = await warren.run(['exec', 'garbage', '--', 'cat', '/tmp/written']);
      if (again.code !== 0) assert.match(again.stderr, /\[(?:machine|agent)\.[a-z-]+\]/);
      return again.code === 0 ? Number(again.stdout) : undefined;
    });
    assert.ok(written > 0, 'no garbage was written');
    assert.equal((await warren.json<{ pid: number }>(['daemon', 'status'])).pid, daemon.pid);
  });

  it('that is killed takes its machine along: commands say so, and start brings it back (AP 67)', async (t) => {
    removeAfter(t, warren, 'killed');
    await up('killed');
    await warren.sh('killed', 'echo kept > file && sync');
    const ended = await warren.run(['exec', 'killed', '--', 'sudo', 'pkill', '-9', '-f', 'in-machine']);
    assert.notEqual(ended.code, 0);
    await until('the crash is seen', async () =>
      (await detail('killed')).state === 'crashed' ? true : undefined,
    );
    await warren.fails(['exec', 'killed', '--', 'true'], 'sandbox.wrong-state');
    await warren.ok(['start', 'killed']);
    assert.equal(await warren.sh('killed', 'cat file'), 'kept\n');
  });
});

describe('words of a guest', { timeout: 900_000 }, () => {
  it('reach no terminal as anything but words: diff, fetch, merge, rm, audit, forward ls (GH 86)', async (t) => {
    removeAfter(t, warren, 'words');
    const repository = await up('words', { 'README.md': 'one\n' });
    await warren.sh(
      'words',
      `e=$(printf '\\033'); b=$(printf '\\342\\200\\256')
       touch "$e]0;owned.txt" "x$b.sh" && git add -A &&
       git -c user.name="A$e]52;c;eA==" commit -qm "title $e]8;;http://x$e\\\\click$b" && touch "left$e[2J"
       curl -sS "http://$(printf 'denied').example/$e[31m" >/dev/null; curl -sS 'http://denied.example/%1b[2J?x' >/dev/null; true`,
    );
    const refused = await warren.run(['rm', 'words']);
    assert.equal(refused.code, 1);
    const shown = [
      refused,
      await warren.run(['diff', 'words']),
      await warren.run(['diff', 'words', '--stat']),
      await warren.run(['fetch', 'words'], { cwd: repository }),
      await warren.run(['merge', 'words'], { cwd: repository }),
      await warren.run(['audit', 'words']),
      await warren.run(['policy', 'learn', 'words']),
      await warren.run(['journal', 'words']),
      await warren.run(['forward', 'ls', 'words']),
    ];
    const all = shown.map(({ stdout, stderr }) => stdout + stderr).join('');
    assert.match(all, /title \\x1b\]8/);
    assert.doesNotMatch(all, /[\u0000-\u0008\u000b-\u001f\u007f\u0080-\u009f\u202a-\u202e\u2066-\u2069]/);
    // For programs they are as they were.
    const { commits } = await warren.json<{ commits: { subject: string; author: string }[] }>([
      'diff',
      'words',
    ]);
    assert.ok(commits.length === 0 || commits[0]!.subject.includes('\u001b]8'), JSON.stringify(commits));
    assert.match(warren.git(repository, 'log', '-1', '--format=%s'), /\u001b\]8/);
  });
});

describe('a policy file that is spoiled while its door runs (NE 2)', { timeout: 900_000 }, () => {
  it('changes nothing, is told, and lets nothing out with the next door, which says why', async (t) => {
    removeAfter(t, warren, 'spoiled');
    const origin = createServer((_, response) => response.end('from the host\n'));
    origin.listen(0, '127.0.0.1');
    await once(origin, 'listening');
    after(() => origin.close());
    const { port } = origin.address() as AddressInfo;
    const file = join(warren.home, '.config/warren/config.json');
    mkdirSync(join(warren.home, '.config/warren'), { recursive: true });
    const good = JSON.stringify({ egress: { allow: [{ hostService: port, protocol: 'http' }] } });
    writeFileSync(file, good);
    t.after(() => writeFileSync(file, '{}'));
    await up('spoiled');
    const ask = async (at: number) =>
      (
        await warren.run([
          'exec',
          'spoiled',
          '--',
          'curl',
          '-sS',
          '--max-time',
          '90',
          `http://host.warren.internal:${at}/`,
        ])
      ).stdout;
    assert.equal(await ask(port), 'from the host\n');
    writeFileSync(file, good.slice(0, -4));
    await until('the journal tells', async () =>
      (await warren.json<JournalRecord[]>(['journal', 'spoiled'])).some(
        ({ event }) => event === 'policy-unusable',
      )
        ? true
        : undefined,
    );
    assert.equal(await ask(port), 'from the host\n');
    assert.match(await ask(port + 1), /no rule allows it/);
    assert.match((await detail('spoiled')).network.broken ?? '', /config\.json/);
    assert.equal((await detail('spoiled')).network.mode, 'mediated', 'what the running door understood');
    // No sandbox begins with it, and a door that starts lets nothing out.
    await warren.fails(['up', '--detach', '--name', 'another'], 'usage.settings', {
      cwd: warren.repository('another'),
    });
    process.kill((await detail('spoiled')).network.doorPid!, 'SIGKILL');
    assert.match(
      await ask(port),
      /its policy cannot be used \(on the host, warren policy show spoiled tells why\)/,
    );
    assert.equal((await detail('spoiled')).network.mode, 'none');
    // The door that runs gets its way out anew when that has changed.
    const works = async () => ((await ask(port)) === 'from the host\n' ? true : undefined);
    writeFileSync(file, good);
    await until('it works again', works, 90_000);
    const missing = JSON.stringify({ ...JSON.parse(good), ca: ['/nowhere/root.pem'] });
    writeFileSync(file, missing);
    await warren.ok(['daemon', 'stop']);
    assert.match(await ask(port), /its policy cannot be used/);
    assert.match((await detail('spoiled')).network.broken ?? '', /root\.pem/);
    writeFileSync(file, good);
    await until('it works once more', works, 90_000);
  });
});

describe('a VMM that is killed (VH 96)', { timeout: 900_000 }, () => {
  it('in the middle of writes leaves a disk that is whole, no core file and no process (SE 57)', async (t) => {
    removeAfter(t, warren, 'writing');
    await up('writing');
    const { machine, folder } = await detail('writing');
    const writing = warren.run([
      'exec',
      'writing',
      '--',
      'sh',
      '-c',
      'echo kept > file; sync; while :; do head -c 30000000 /dev/urandom > big; sync; echo round; done',
    ]);
    const disk = join(folder, 'machine/disk.qcow2');
    const before = (await detail('writing')).diskUsedMib;
    await until('it writes', async () =>
      (await detail('writing')).diskUsedMib > before + 40 ? true : undefined,
    );
    const cores = () => readdirSync('/').filter((name) => name.startsWith('core'));
    const coresBefore = cores();
    process.kill(machine!.pid, 'SIGKILL');
    assert.notEqual((await writing).code, 0);
    await until('the crash is seen', async () =>
      (await detail('writing')).state === 'crashed' ? true : undefined,
    );
    assert.deepEqual(cores(), coresBefore);
    assert.deepEqual(
      readdirSync(join(folder, 'machine')).filter((name) => name.startsWith('core')),
      [],
    );
    // Its header names a base that is not there any more: a machine is told the right one each time.
    const alone = { driver: 'qcow2', backing: null, file: { driver: 'file', filename: disk } };
    const checked = JSON.parse(
      execFileSync('qemu-img', ['check', '--output=json', `json:${JSON.stringify(alone)}`], {
        encoding: 'utf8',
      }),
    );
    assert.deepEqual([checked.corruptions ?? 0, checked['check-errors']], [0, 0]);
    assert.deepEqual(
      processes(
        (args) => args.some((arg) => arg.includes(machine!.pid.toString())) && args.includes('bwrap'),
      ),
      [],
    );
    await warren.ok(['start', 'writing']);
    assert.equal(await warren.sh('writing', 'cat file'), 'kept\n');
  });

  it('in the middle of making a template leaves no template', async () => {
    const store = join(warren.env['WARREN_STORE']!, 'templates');
    const size = ['--memory', '640', '--disk', '7'];
    const of640 = async () =>
      (await warren.json<TemplateView[]>(['template', 'ls'])).filter(({ memoryMib }) => memoryMib === 640);
    for (const { id } of await of640()) await warren.ok(['template', 'rm', id]);
    const { pid: daemon } = await warren.json<{ pid: number }>(['daemon', 'status']);
    const building = warren.run(['template', 'build', ...size]);
    // Others may run the same test, with the same store.
    const mine = () =>
      processes(
        (args) => args.includes('-m') && args[args.indexOf('-m') + 1] === '640' && args[0]!.includes('qemu'),
      ).filter((pid) => isBelow(pid, daemon));
    await until('its VMM runs', () => (mine().length > 0 ? true : undefined));
    for (const pid of mine()) process.kill(pid, 'SIGKILL');
    const { code, stderr } = await building;
    assert.equal(code, 1, stderr);
    assert.match(stderr, /\[machine\.[a-z-]+\]/);
    assert.deepEqual(await of640(), []);
    assert.ok(
      !existsSync(store) || readdirSync(store).every((name) => !name.startsWith(`.tmp-${daemon}-`)),
      String(readdirSync(store).filter((name) => name.startsWith('.'))),
    );
    assert.deepEqual(mine(), []);
  });
});

/** Started by it, or by what it started; not one that has just gone. */
function isBelow(pid: number, above: number): boolean {
  try {
    for (let at = pid; at > 1; at = parentOf(at)) if (at === above) return true;
  } catch {}
  return false;
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
