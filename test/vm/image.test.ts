// OCI images as environments: pulled from a registry on loopback (Debian's docker-registry), started, restored, booted
// again from the sandbox's own disk. The image is one static program; nothing of ours is in it.

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { PruneResult, SandboxDetail, UpResult } from '../../src/protocol/api.ts';
import { staticBusybox } from '../image/debian-program.ts';
import { busyboxEntries, digestOf, makeImage, makeTar, push, writeLayout } from '../image/make-image.ts';
import { type RunningRegistry, registryProgram, startRegistry } from '../image/registry-program.ts';
import { openWarren, removeAfter } from './harness.ts';

const found = registryProgram();
const box = staticBusybox();
const busybox = 'program' in box ? box.program : '';
const noBusybox = 'missing' in box && box.missing;
const missing = 'missing' in found ? found.missing : noBusybox;
const warren = openWarren();
const folder = mkdtempSync(join(tmpdir(), 'warren-image-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));
// A store of its own, since it is pruned here; the kernel need not be fetched again for that.
const shared = warren.env['WARREN_STORE']!;
warren.env['WARREN_STORE'] = join(folder, 'store');
for (const kept of ['kernels', 'accelerator.json'])
  if (existsSync(join(shared, kept)))
    cpSync(join(shared, kept), join(folder, 'store', kept), { recursive: true, preserveTimestamps: true });

describe('an image from a registry', { skip: missing }, () => {
  let registry: RunningRegistry;
  let name: string;
  const big = Buffer.alloc(3_000_000, 'many bytes ');
  before(async () => {
    registry = await startRegistry((found as { program: string }).program, join(folder, 'registry'));
    const base = await makeTar([
      ...busyboxEntries(busybox),
      { name: 'opt/gone', content: 'x' },
      { name: 'opt/big', content: big },
      { name: 'old/x', content: 'x' },
    ]);
    const top = await makeTar([
      { name: 'opt/.wh.gone' },
      { name: 'old/.wh..wh..opq' },
      { name: 'old/y', content: 'y' },
      { name: 'opt/tool', content: 'tool\n', uid: 1234, gid: 1235, mode: 0o4755 },
      { name: 'opt/same', type: 'link', linkname: 'opt/tool' },
      { name: 'ä ö', content: 'umlauts\n' },
    ]);
    const config = {
      User: 'ann',
      WorkingDir: '/work/here',
      Env: ['PATH=/bin', 'GREETING=hello there'],
      Cmd: ['never', 'run'],
    };
    await push(registry.url, 'team/tool', '1', makeImage([base, top], config));
    name = `${registry.host}/team/tool:1`;
  });
  after(() => registry.stop());

  it('runs a command as the image says: user, folder, variables, files of all layers', async () => {
    const line =
      'id; pwd; echo $GREETING; ls /opt /old; stat -c "%u %g %a %h" /opt/tool /opt/same; sha256sum < /opt/big; cat "/ä ö"; ls -a / | wc -l';
    const said = await warren.ok(['run', '--rm', '--no-repo', '--env', name, '--', 'sh', '-c', line]);
    assert.deepEqual(said.split('\n').slice(0, -2), [
      'uid=1234(ann) gid=1235(ann) groups=1235(ann),2000(team)',
      '/work/here',
      'hello there',
      ...['/old:', 'y', '', '/opt:', 'big', 'same', 'tool'],
      ...['1234 1235 4755 2', '1234 1235 4755 2'],
      `${digestOf(big).slice(7)}  -`,
      'umlauts',
    ]);
  });

  it('is restored the second time, without the registry, and keeps its settings when it boots', async (t) => {
    removeAfter(t, warren, 'kept');
    await registry.stop();
    const sandbox = await warren
      .json<UpResult>(['up', '--name', 'kept', '--env', name], { cwd: warren.repository('kept-repo') })
      .catch(() => null);
    assert.equal(sandbox, null, 'a repository needs git in the guest');
    await warren.ok(['run', '--no-repo', '--name', 'kept', '--env', name, '--', 'touch', '/home/ann/mine']);
    const { template, user, workdir } = await warren.json<SandboxDetail>(['show', 'kept']);
    assert.deepEqual([user, workdir], ['ann', '/work/here']);
    await warren.ok(['stop', 'kept']);
    await warren.ok(['start', 'kept']);
    assert.equal(
      await warren.sh('kept', 'ls /home/ann; pwd; echo $GREETING; id -un'),
      'mine\n/work/here\nhello there\nann\n',
    );
    assert.equal((await warren.json<SandboxDetail>(['show', 'kept'])).template, template);
    const pruned = await warren.json<PruneResult>(['prune']);
    assert.equal(pruned.templates.includes(template), false);
    await warren.ok(['stop', 'kept']);
    await warren.ok(['start', 'kept']);
    assert.equal(await warren.sh('kept', 'sha256sum < /opt/big'), `${digestOf(big).slice(7)}  -\n`);
  });
});

describe('an image on this computer', { skip: noBusybox }, () => {
  it('needs nothing of ours in it: no shell, no users, not a folder', async () => {
    const image = makeImage(
      [await makeTar([{ name: 'busybox', content: readFileSync(busybox), mode: 0o755 }])],
      { User: '4321:5' },
    );
    writeLayout(join(folder, 'bare'), image);
    const run = ['run', '--rm', '--no-repo', '--env', './bare', '--'];
    const said = await warren.ok([...run, '/busybox', 'id'], { cwd: folder });
    assert.equal(said, 'uid=4321 gid=5 groups=5\n');
    const ended = await warren.run([...run, 'sh'], { cwd: folder });
    assert.notEqual(ended.code, 0);
    assert.match(ended.stderr, /cannot start "sh": command not found/);
  });

  it('may have more layers than a machine has slots', async () => {
    const layers = [await makeTar(busyboxEntries(busybox))];
    for (let n = 0; n < 40; n++)
      layers.push(
        await makeTar([{ name: `many/${n}`, content: Buffer.alloc(n < 20 ? 300_000 : 10, String(n)) }]),
      );
    writeLayout(join(folder, 'many'), makeImage(layers, { Env: ['PATH=/bin'] }));
    const said = await warren.ok([
      'run',
      '--rm',
      '--no-repo',
      '--env',
      join(folder, 'many'),
      '--',
      'sh',
      '-c',
      'cat /many/* | sha256sum; ls /many | wc -l',
    ]);
    const names = Array.from({ length: 40 }, (_, n) => String(n)).sort();
    const all = Buffer.concat(names.map((n) => Buffer.alloc(Number(n) < 20 ? 300_000 : 10, n)));
    assert.equal(said, `${digestOf(all).slice(7)}  -\n40\n`);
  });

  it('is refused with a reason when it is none', async () => {
    writeFileSync(join(folder, 'words.tar'), 'not a tar '.repeat(200));
    const run = (env: string) => ['run', '--rm', '--no-repo', '--env', env, '--', 'true'];
    await warren.fails(run(join(folder, 'words.tar')), 'image.bad-layer');
    await warren.fails(run('Not/An/Image'), 'usage.environment');
    await warren.fails(run('./nothing'), 'image.not-found');
    assert.deepEqual(
      readdirSync(join(warren.env['WARREN_STORE']!, 'layers')).filter((file) => file.startsWith('.')),
      [],
    );
  });
});
