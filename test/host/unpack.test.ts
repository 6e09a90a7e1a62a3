import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { checkName, staysInside, Unpacker } from '../../src/host/unpack.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'warren-unpack-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const bytes = (text = '') => Readable.from(text ? [Buffer.from(text)] : []);

describe('what a guest sends for the host to write', () => {
  for (const name of [
    '../x',
    '/abs',
    'a/../../x',
    'a\u0000b',
    'x'.repeat(5000),
    'a/'.repeat(5000),
    'bad\ufffd',
    'a ',
    'a.',
    'C:\\x',
    'C:x',
    '-rf',
    'a/-x',
    'a\nb',
    'a\\b',
    '',
    '.',
    './..',
  ]) {
    it(`refuses the name ${JSON.stringify(name.slice(0, 30))}`, () => assert.ok('why' in checkName(name)));
  }

  it('takes ordinary names', () =>
    assert.deepEqual(checkName('src/ä b/日本.txt'), { parts: ['src', 'ä b', '日本.txt'] }));

  it('keeps links inside and leaves the others out', () => {
    assert.ok(staysInside('top/a', 'b'));
    assert.ok(staysInside('top/a/b', '../c'));
    for (const [path, to] of [
      ['top/a', '../../etc'],
      ['top/a', '/etc/passwd'],
      ['top/a', '../x'],
      ['a', '..'],
      ['top/a', ''],
    ] as const)
      assert.equal(staysInside(path, to), false);
  });

  it('writes files and folders, masks modes, skips devices and twins', async () => {
    const target = join(folder, 'out');
    const unpacker = await Unpacker.open(target);
    await unpacker.add({ name: 'top/', type: 'directory' }, bytes());
    await unpacker.add({ name: 'top/run', type: 'file', mode: 0o6777, size: 2 }, bytes('hi'));
    await unpacker.add({ name: 'top/RUN', type: 'file', mode: 0o644, size: 4 }, bytes('twin'));
    await unpacker.add({ name: 'top/null', type: 'character-device' }, bytes());
    await unpacker.add({ name: 'top/pipe', type: 'fifo' }, bytes());
    await unpacker.add({ name: 'top/hard', type: 'link', linkname: '/etc/shadow' }, bytes());
    await unpacker.add({ name: 'top/in', type: 'symlink', linkname: 'run' }, bytes());
    await unpacker.add({ name: 'top/out', type: 'symlink', linkname: '../../etc' }, bytes());
    await unpacker.add({ name: '../escape', type: 'file', size: 1 }, bytes('x'));
    const report = await unpacker.finish();
    assert.equal(await readFile(join(target, 'run'), 'utf8'), 'hi');
    assert.equal((await stat(join(target, 'run'))).mode & 0o7777, 0o755);
    assert.equal(await readlink(join(target, 'in')), 'run');
    assert.deepEqual((await readdir(target)).sort(), ['in', 'run']);
    assert.deepEqual(report.skipped.map(({ path }) => path).sort(), [
      '../escape',
      'top/RUN',
      'top/hard',
      'top/null',
      'top/out',
      'top/pipe',
    ]);
    assert.equal(report.files, 1);
  });

  it('refuses a target that is there, a planted link too', async () => {
    await symlink('/etc', join(folder, 'planted'));
    await writeFile(join(folder, 'there'), '');
    for (const name of ['planted', 'there'])
      await assert.rejects(Unpacker.open(join(folder, name)), { code: 'files.target-exists' });
  });

  it('leaves nothing when it is abandoned', async () => {
    const unpacker = await Unpacker.open(join(folder, 'never'));
    await unpacker.add({ name: 'top', type: 'file', size: 1 }, bytes('x'));
    await unpacker.abandon();
    assert.equal(
      (await readdir(folder)).some((name) => name.includes('never')),
      false,
    );
  });
});
