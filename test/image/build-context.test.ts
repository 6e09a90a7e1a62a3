// The folder that COPY takes files from: what a source names in it, and that nothing outside of it can be named.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { parseIgnore } from '../../src/environment/dockerfile/index.ts';
import { BuildContext } from '../../src/image/build/context.ts';
import { FileDigests } from '../../src/image/build/file-digests.ts';
import { pieceBytes } from '../../src/image/build/piece-bytes.ts';

const root = mkdtempSync(join(tmpdir(), 'warren-context-'));
after(() => rmSync(root, { recursive: true, force: true }));
const folder = join(root, 'context');
mkdirSync(join(folder, 'd/e'), { recursive: true });
writeFileSync(join(root, 'secret'), 'outside');
for (const name of ['a', 'd/b', 'd/e/c']) writeFileSync(join(folder, name), name);
for (const [name, to] of [
  ['up', '../secret'],
  ['far', '../../../../../../etc/passwd'],
  ['absolute', '/etc/passwd'],
  ['own', '/d/b'],
  ['folder', 'd'],
  ['circle', 'circle'],
  ['through', 'folder/e/../b'],
] as const)
  symlinkSync(to, join(folder, name));

async function open(ignore = ''): Promise<BuildContext> {
  const digests = await FileDigests.open(join(root, 'digests.json'));
  return new BuildContext(folder, {
    rules: parseIgnore(ignore),
    isWithheld: (path) => path === 'd/e/c',
    digests,
  });
}

const names = async (path: string, ignore = '') => {
  const context = await open(ignore);
  const { picked, missing } = await context.select([{ path, pivot: '/', required: !/[*?]/.test(path) }], {
    parents: false,
    isExcluded: () => false,
  });
  return missing.length > 0 ? null : picked.flatMap(({ entries }) => entries.map(({ entry }) => entry.path));
};

describe('the context of a build', () => {
  for (const path of [
    '/up',
    '/far',
    '/absolute',
    '/circle',
    '/../secret',
    '/d/../../secret',
    '/folder/../../secret',
  ])
    it(`does not lead out by ${path}`, async () => {
      assert.deepEqual(await names(path), null);
    });

  it('is led through by its own links, as if it were the root', async () => {
    assert.deepEqual(await names('/own'), ['d/b']);
    assert.deepEqual(await names('/through'), ['d/b']);
    assert.deepEqual(await names('/folder'), ['d', 'd/b', 'd/e']);
  });

  it('hands links in a folder on as they are, wherever they lead', async () => {
    const all = await names('/');
    assert.ok(all?.includes('far') && all.includes('absolute'));
  });

  it('has nothing of what is ignored or withheld', async () => {
    assert.deepEqual(await names('/d', 'd/b\n'), ['d', 'd/e']);
    assert.deepEqual(await names('/d/e/c'), null);
    assert.deepEqual(await names('/d/*', ''), ['d/b', 'd/e']);
  });

  it('is named whole by no wildcard', async () => {
    assert.equal((await names('/*'))?.includes(''), false);
  });

  it('is the same when only times have changed', async () => {
    const digest = async () => {
      const context = await open();
      const { picked } = await context.select([{ path: '/', pivot: '/', required: true }], {
        parents: false,
        isExcluded: () => false,
      });
      return await context.digest(picked);
    };
    const before = await digest();
    utimesSync(join(folder, 'a'), 1, 1);
    assert.equal(await digest(), before);
    writeFileSync(join(folder, 'a'), 'other');
    assert.notEqual(await digest(), before);
  });

  it('of many small files takes as little memory as they are', async () => {
    const many = join(folder, 'many');
    mkdirSync(many);
    for (let nr = 0; nr < 2000; nr++) writeFileSync(join(many, String(nr)), String(nr));
    const context = await open();
    const { picked } = await context.select([{ path: '/many', pivot: '/', required: true }], {
      parents: false,
      isExcluded: () => false,
    });
    const before = process.memoryUsage().external;
    let most = 0;
    const look = setInterval(() => {
      most = Math.max(most, process.memoryUsage().external - before);
    }, 1);
    await context.digest(picked).finally(() => clearInterval(look));
    assert.ok(most < 16 * 1024 ** 2, `${most} bytes`);
  });
});

describe('a file that is read in pieces', () => {
  it('has pieces no longer than itself, and no longer than what may be held', () => {
    assert.deepEqual(
      [0, 1, 5000, 300_000].map((bytes) => pieceBytes(bytes, 256 * 1024)),
      [4096, 4096, 5000, 256 * 1024],
    );
  });
});
