// What survives what: machines outlive their daemon, disks outlive their machine.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type {
  DaemonInfo,
  JournalRecord,
  SandboxDetail,
  SandboxView,
  UpResult,
} from '../../src/protocol/api.ts';
import { clockOffS, openWarren, processes, removeAfter, until } from './harness.ts';

const warren = openWarren();

const daemonPid = async () => {
  await warren.ok(['ls']); // starts one if there is none
  return (await warren.json<DaemonInfo>(['daemon', 'status'])).pid;
};
const vmmPid = async (name: string) => (await warren.json<SandboxDetail>(['show', name])).machine!.pid;
const state = async (name: string) => (await warren.json<SandboxDetail>(['show', name])).state;

describe('kill -9 of the daemon', () => {
  it('leaves machines and their programs running, and the next command finds them', async (t) => {
    const repository = warren.repository('kept');
    removeAfter(t, warren, 'kept');
    await warren.ok(['up', '--detach'], { cwd: repository });
    const vmm = await vmmPid('kept');
    const working = warren.run([
      'exec',
      'kept',
      '--',
      'sh',
      '-c',
      'i=0; while [ $i -lt 600 ]; do i=$((i+1)); echo $i > /tmp/n; sleep 0.1; done',
    ]);
    await until(
      'the program runs',
      async () => (await warren.run(['exec', 'kept', '--', 'test', '-s', '/tmp/n'])).code === 0 || undefined,
    );
    process.kill(await daemonPid(), 'SIGKILL');
    assert.notEqual((await working).code, 0, 'a command whose daemon died does not look done');
    assert.equal(await state('kept'), 'running');
    assert.equal(await vmmPid('kept'), vmm, 'the same machine');
    const before = Number(await warren.sh('kept', 'cat /tmp/n'));
    await until(
      'the program goes on',
      async () => Number(await warren.sh('kept', 'cat /tmp/n')) > before || undefined,
    );
  });

  it('in the middle of `up` leaves either a whole sandbox or none', async () => {
    const repository = warren.repository('halfway');
    for (const delayMs of [20, 120, 250, 400, 600]) {
      const pid = await daemonPid();
      const up = warren.run(['up', '--detach'], { cwd: repository });
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      process.kill(pid, 'SIGKILL');
      await up;
      const list = await warren.json<SandboxView[]>(['ls']);
      for (const sandbox of list) {
        assert.equal(sandbox.state, 'running');
        assert.equal(await warren.sh(sandbox.name, 'git log --format=%s'), 'first\n');
        await warren.ok(['rm', sandbox.name]);
      }
      await until(
        'no VMM is left',
        () =>
          processes(
            (args) =>
              args.some((arg) => arg.startsWith('warren-')) && args.some((arg) => arg.includes(warren.home)),
          ).length === 0 || undefined,
      );
    }
  });

  it('in the middle of a hand-back leaves nothing behind, and it can be repeated', async (t) => {
    const repository = warren.repository('torn');
    removeAfter(t, warren, 'torn');
    await warren.ok(['up', '--detach'], { cwd: repository });
    await warren.sh('torn', 'head -c 30000000 /dev/urandom > big && git add big && git commit -qm big');
    for (const delayMs of [50, 150, 300]) {
      const pid = await daemonPid();
      const fetching = warren.run(['fetch', 'torn'], { cwd: repository });
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      process.kill(pid, 'SIGKILL');
      await fetching;
      warren.git(repository, 'fsck', '--strict');
    }
    await warren.ok(['merge', 'torn'], { cwd: repository });
    assert.equal(warren.git(repository, 'log', '--format=%s'), 'big\nfirst\n');
    assert.equal(warren.git(repository, 'count-objects', '-v').match(/garbage: (\d+)/)?.[1], '0');
  });
});

const sandboxIds = () => {
  const folder = join(warren.data, 'sandboxes');
  return existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith('.')) : [];
};

describe('kill -9 of the VMM', () => {
  it('is a crash; start brings the sandbox back from its disk', async (t) => {
    const repository = warren.repository('crash');
    removeAfter(t, warren, 'crash');
    const { sandbox } = await warren.json<UpResult>(['up'], { cwd: repository });
    await warren.sh('crash', 'echo kept > file && sync');
    process.kill(await vmmPid('crash'), 'SIGKILL');
    await until('the crash is seen', async () => (await state('crash')) === 'crashed' || undefined);
    const refused = await warren.fails(['exec', 'crash', '--', 'true'], 'sandbox.wrong-state');
    assert.match(refused.stderr, /warren start crash/);
    await warren.fails(['rm', 'crash'], 'sandbox.unknown-work');
    await warren.ok(['start', 'crash']);
    assert.equal(await warren.sh('crash', 'cat file'), 'kept\n');
    const journal = readFileSync(join(warren.data, 'sandboxes', sandbox.id, 'journal.jsonl'), 'utf8');
    assert.deepEqual(
      journal
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as JournalRecord).event),
      ['created', 'up', 'crashed', 'started'],
    );
  });

  it('that says nothing is given up, and another one comes up in its place', async (t) => {
    const repository = warren.repository('mute');
    removeAfter(t, warren, 'mute');
    await warren.ok(['template', 'build']);
    const before = new Set(sandboxIds());
    const making = warren.json<UpResult>(['up', '--name', 'mute'], { cwd: repository });
    // Stopped as soon as its record has it, which is before its agent was heard.
    const first = await until('its VMM', () => {
      const [id] = sandboxIds().filter((each) => !before.has(each));
      const file = join(warren.data, 'sandboxes', id ?? '', 'sandbox.json');
      const record = id && existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
      return (record as { machine?: { vmm: { pid: number } } }).machine?.vmm.pid;
    });
    process.kill(first, 'SIGSTOP');
    const { sandbox } = await making;
    assert.notEqual(await vmmPid('mute'), first);
    assert.ok(!existsSync(`/proc/${first}`), 'the first one is gone');
    assert.equal(await warren.sh('mute', 'git log --format=%s'), 'first\n');
    const journal = readFileSync(join(warren.data, 'sandboxes', sandbox.id, 'journal.jsonl'), 'utf8');
    assert.match(journal, /"event":"silent"/);
  });

  it('while no daemon runs is found later', async (t) => {
    const repository = warren.repository('alone');
    removeAfter(t, warren, 'alone');
    await warren.ok(['up', '--detach'], { cwd: repository });
    await warren.sh('alone', 'sync');
    const vmm = await vmmPid('alone');
    await warren.ok(['daemon', 'stop']);
    process.kill(vmm, 'SIGKILL');
    assert.equal(await state('alone'), 'crashed');
    await warren.ok(['start', 'alone']);
    assert.equal(await warren.sh('alone', 'git log --format=%s'), 'first\n');
  });

  it('in the middle of `up` is told, and leaves nothing', async () => {
    const repository = warren.repository('murdered');
    const up = warren.run(['up', '--detach'], { cwd: repository });
    const folder = join(warren.data, 'sandboxes');
    const pid = await until('a VMM', () => {
      for (const id of existsSync(folder)
        ? readdirSync(folder).filter((name) => !name.startsWith('.'))
        : []) {
        if (!existsSync(join(folder, id, 'sandbox.json'))) continue;
        const record = JSON.parse(readFileSync(join(folder, id, 'sandbox.json'), 'utf8'));
        if (record.state === 'creating' && record.machine) return record.machine.vmm.pid as number;
      }
      return undefined;
    });
    process.kill(pid, 'SIGKILL');
    const { code, stderr } = await up;
    assert.equal(code, 1, stderr);
    assert.match(stderr, /\[machine\./);
    assert.deepEqual(await warren.json<SandboxView[]>(['ls']), []);
  });
});

describe('pause and stop', () => {
  it('pause stops the clock of the CPU, resume sets that of the wall', async (t) => {
    removeAfter(t, warren, 'nap');
    await warren.ok(['up', '--detach', '--name', 'nap'], { cwd: warren.repository('nap') });
    await warren.ok(['pause', 'nap']);
    await warren.fails(['exec', 'nap', '--', 'true'], 'sandbox.wrong-state');
    const again = await warren.run(['pause', 'nap']);
    assert.equal(again.code, 0);
    assert.match(again.stderr, /already/);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    await warren.ok(['resume', 'nap']);
    const offS = await clockOffS(warren, 'nap');
    assert.ok(offS < 1, `the guest is ${offS} s off`);
  });

  it('a stopped sandbox still knows what it holds', async (t) => {
    removeAfter(t, warren, 'asleep');
    await warren.ok(['up', '--detach', '--name', 'asleep'], { cwd: warren.repository('asleep') });
    await warren.sh('asleep', 'git commit -q --allow-empty -m work');
    await warren.ok(['stop', 'asleep']);
    await warren.fails(['rm', 'asleep'], 'sandbox.unfetched-work');
    await warren.ok(['start', 'asleep']);
    assert.equal(await warren.sh('asleep', 'git log -1 --format=%s'), 'work\n');
  });
});
