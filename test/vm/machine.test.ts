// What a machine is: itself after each restore, without a network, confined on the host; its template never changes.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { DaemonInfo, SandboxDetail, TemplateView, UpResult } from '../../src/protocol/api.ts';
import { clockOffS, openWarren, removeAfter, until } from './harness.ts';

const warren = openWarren();
const RESTORES = 100;
/** There is no balloon to inflate; dropping caches and compacting is what a guest can do to its pages. */
const HARD_WORK = [
  'test ! -e /sys/bus/virtio/drivers/virtio_balloon/virtio0',
  'head -c 20000000 /dev/urandom > /dev/shm/x',
  'head -c 1000000 /dev/urandom > x',
  'sudo sh -c "echo 3 > /proc/sys/vm/drop_caches; echo 1 > /proc/sys/vm/compact_memory"',
  'sync',
].join(' && ');

describe('two machines of one template', () => {
  it('wake up as themselves', async (t) => {
    removeAfter(t, warren, 'one', 'two');
    const repository = warren.repository('twins');
    for (const name of ['one', 'two'])
      await warren.ok(['up', '--detach', '--name', name], { cwd: repository });
    const look =
      'hostname; cat /etc/machine-id; head -c 16 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/uuid';
    const [one, two] = (await Promise.all(['one', 'two'].map((name) => warren.sh(name, look)))).map((text) =>
      text.trim().split('\n'),
    );
    assert.deepEqual([one![0], two![0]], ['one', 'two']);
    for (const index of [1, 2, 3])
      assert.notEqual(one![index], two![index], `line ${index} is the same in both`);
    assert.match(one![1]!, /^[0-9a-f]{32}$/);
    for (const name of ['one', 'two']) assert.ok((await clockOffS(warren, name)) < 5, 'the clock is right');
  });
});

describe('a machine', () => {
  it('has no network but the door, which says what it does not let through', async (t) => {
    removeAfter(t, warren, 'lonely');
    await warren.ok(['up', '--detach', '--name', 'lonely'], { cwd: warren.repository('lonely') });
    assert.equal(await warren.sh('lonely', 'ls /sys/class/net'), 'lo\n');
    assert.equal(await warren.sh('lonely', "awk 'NR > 1 { print $1 }' /proc/net/route | sort -u"), 'lo\n');
    for (const url of ['http://192.0.2.1/', 'https://denied.example/']) {
      const said = await warren.sh('lonely', `curl -sS --max-time 60 ${url}`);
      assert.match(said, /^Warren: (?:192\.0\.2\.1:80|denied\.example:443): no rule allows it/);
    }
    const probed = await agentCall('lonely', '/warren/egress/probe', { host: 'example.com', port: 443 });
    assert.equal(probed.status, 200, 'the door takes a connection, and judges what is said in it');
  });

  it('is confined as `show` says (VH 98)', async (t) => {
    removeAfter(t, warren, 'boxed');
    await warren.ok(['up', '--detach', '--name', 'boxed'], { cwd: warren.repository('boxed') });
    const { machine } = await warren.json<SandboxDetail>(['show', 'boxed']);
    const { pid, confinement } = machine!;
    assert.match(confinement.join('\n'), /bwrap/, 'this computer has bwrap');
    const status = Object.fromEntries(
      readFileSync(`/proc/${pid}/status`, 'utf8')
        .split('\n')
        .map((line) => line.split(':\t') as [string, string]),
    );
    assert.notEqual(status['Uid']!.split('\t')[0], '0');
    assert.equal(BigInt(`0x${status['CapEff']}`), 0n);
    assert.equal(BigInt(`0x${status['CapBnd']}`), 0n);
    assert.equal(status['NoNewPrivs'], '1');
    assert.equal(status['Seccomp'], '2');
    for (const space of ['net', 'mnt', 'pid', 'ipc', 'uts']) {
      assert.notEqual(
        readlinkSync(`/proc/${pid}/ns/${space}`),
        readlinkSync(`/proc/self/ns/${space}`),
        space,
      );
    }
    const visible = readdirSync(`/proc/${pid}/root`).sort();
    assert.deepEqual(visible, ['bin', 'dev', 'etc', 'lib', 'lib64', 'usr', 'warren']);
    assert.match(readFileSync(`/proc/${pid}/limits`, 'utf8'), /Max core file size\s+0 /);
    assert.equal(
      readFileSync(`/proc/${pid}/net/dev`, 'utf8')
        .split('\n')
        .filter((line) => /^\s*\w+:/.test(line)).length,
      1,
      'lo only',
    );
  });

  it('can be told nothing by its own root: calls of the host are not for clients', async (t) => {
    removeAfter(t, warren, 'sealed');
    await warren.ok(['up', '--detach', '--name', 'sealed'], { cwd: warren.repository('sealed') });
    for (const path of [
      '/warren/poweroff',
      '/warren/awaken',
      '/warren/quiesce',
      '/init',
      '/warren/git/status',
    ]) {
      const answer = await agentCall('sealed', path, {});
      assert.equal(answer.status, 400, path);
    }
    assert.equal(await warren.sh('sealed', 'sudo -n id -u'), '0\n');
  });
});

describe('a template', () => {
  it(`stays as it is through ${RESTORES} restores that write and balloon`, async () => {
    const template = await templateInUse();
    const folder = join(warren.env['WARREN_STORE']!, 'templates', template);
    const before = digest(folder);
    for (const file of readdirSync(folder))
      assert.equal(statSync(join(folder, file)).mode & 0o222, 0, `${file} is writable`);
    let done = 0;
    const lane = async () => {
      while (done < RESTORES) {
        // Most only start; each tenth writes memory and disk and gives pages back.
        const work = done++ % 10 === 0 ? HARD_WORK : 'true';
        const ended = await warren.run(['run', '--rm', '--no-repo', '--', 'sh', '-c', work]);
        assert.equal(ended.code, 0, ended.stderr);
      }
    };
    await Promise.all([lane(), lane()]);
    assert.equal(digest(folder), before);
    assert.equal(await templateInUse(), template);
  });

  it('is built once by two who need it at once, and a cancelled build leaves nothing', async (t) => {
    removeAfter(t, warren, 'first', 'second');
    const store = join(warren.env['WARREN_STORE']!, 'templates');
    const size = ['--memory', '768', '--disk', '9'];
    const of768 = async () =>
      (await warren.json<TemplateView[]>(['template', 'ls'])).filter(
        ({ memoryMib, diskGib }) => memoryMib === 768 && diskGib === 9,
      );
    for (const { id } of await of768()) await warren.ok(['template', 'rm', id]);

    const before = new Set(readdirSync(store));
    const { pid: daemon } = await warren.json<DaemonInfo>(['daemon', 'status']);
    let building = 0;
    const cancelling = warren.run(['template', 'build', ...size], {
      onStart: (pid) => {
        building = pid;
      },
    });
    await until('it is begun', () => readdirSync(store).some((name) => name.startsWith(`.tmp-${daemon}-`)));
    process.kill(building, 'SIGINT');
    const cancelled = await cancelling;
    assert.equal(cancelled.code, 130, cancelled.stderr);
    // What was there may go meanwhile: each daemon sweeps away what those before it left.
    await until('what was begun is gone', () => readdirSync(store).every((name) => before.has(name)));

    const repository = warren.repository('both');
    const ups = await Promise.all(
      ['first', 'second'].map((name) =>
        warren.json<UpResult>(['up', '--name', name, ...size], { cwd: repository }),
      ),
    );
    assert.deepEqual(
      ups.map(({ created }) => created),
      [true, true],
    );
    const built = await of768();
    assert.equal(built.length, 1);
    assert.deepEqual(built[0]!.usedBy.sort(), ['first', 'second']);
    const refused = await warren.fails(['template', 'rm', built[0]!.id], 'template.in-use');
    assert.match(refused.stderr, /first/);
    await warren.ok(['rm', 'first', 'second']);
    await warren.ok(['template', 'rm', built[0]!.id]);
  });
});

let folders = 0;

async function templateInUse(): Promise<string> {
  const { sandbox } = await warren.json<UpResult>(['up', '--name', 'which'], {
    cwd: warren.repository(`which-${folders++}`),
  });
  await warren.ok(['rm', 'which']);
  return sandbox.template;
}

/** Of contents, modes and times; tar passes over the holes of sparse files. */
/** Of contents: when it was used last, the time of its record says. */
function digest(folder: string): string {
  return execFileSync(
    'sh',
    ['-c', 'tar --sparse --sort=name --mtime=@0 -cf - -C "$1" . | sha256sum', 'sh', folder],
    {
      encoding: 'utf8',
    },
  );
}

/** A call to the agent by way of the daemon, as an SDK makes it. */
function agentCall(name: string, path: string, body: object): Promise<{ status: number; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const call = request(
    {
      socketPath: join(warren.home, '.local/state/warren/run/daemon.sock'),
      path: `/v1/sandboxes/${name}/agent${path}`,
      method: 'POST',
    },
    async (answer) => {
      let text = '';
      for await (const chunk of answer) text += chunk;
      const probe =
        answer.statusCode === 200 ? (JSON.parse(text) as { status?: number; body?: string }) : undefined;
      resolve({ status: probe?.status ?? answer.statusCode!, body: probe?.body ?? text });
    },
  );
  call.once('error', reject);
  call.end(JSON.stringify(body));
  return promise;
}
