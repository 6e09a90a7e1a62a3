// Layers over one another, as the OCI image specification has it, and what no layer may do.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeErofs } from '../../src/image/erofs.ts';
import { placeLayers } from '../../src/image/layered-image.ts';
import { TarIndexer } from '../../src/image/tar-index.ts';
import { type Node, Tree } from '../../src/image/tree.ts';
import { type Entry, makeTar } from './make-image.ts';

async function treeOf(...layers: Entry[][]): Promise<Tree> {
  const tree = new Tree();
  for (const layer of layers) {
    const indexer = new TarIndexer();
    indexer.push(await makeTar(layer));
    tree.apply(indexer.finish());
  }
  return tree;
}

function paths(node: Node, at = ''): string[] {
  return [...node.children]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, child]) => [`${at}/${name}`, ...paths(child, `${at}/${name}`)]);
}

describe('layers', () => {
  it('add, replace and take away', async () => {
    const tree = await treeOf(
      [{ name: 'a/b', content: 'one' }, { name: 'a/c' }, { name: 'd/e/f' }, { name: 'g' }],
      [{ name: 'a/.wh.b' }, { name: '.wh.d' }, { name: 'g/' }, { name: 'g/h', content: 'x' }],
    );
    assert.deepEqual(paths(tree.root), ['/a', '/a/c', '/g', '/g/h']);
    assert.equal(tree.find('/g/h')!.layer, 1);
  });

  it('hide what is below them only: a whiteout never concerns its own layer, whatever the order', async () => {
    const tree = await treeOf(
      [{ name: 'a/low' }, { name: 'b/low' }],
      [
        { name: 'a/new' },
        { name: 'a/.wh..wh..opq' },
        { name: 'b/low', content: 'again' },
        { name: 'b/.wh.low' },
      ],
    );
    assert.deepEqual(paths(tree.root), ['/a', '/a/new', '/b', '/b/low']);
    assert.equal(tree.find('b/low')!.layer, 1);
  });

  it('take an opaque marker that is not empty for what it is', async () => {
    const tree = await treeOf(
      [{ name: 'a/x' }],
      [{ name: 'a/.wh..wh..opq', content: 'not empty' }, { name: 'a/z' }],
    );
    assert.deepEqual(paths(tree.root), ['/a', '/a/z']);
  });

  it('keep a folder’s content when only its attributes come again; the last of two entries wins', async () => {
    const tree = await treeOf(
      [{ name: 'd/f' }],
      [
        { name: 'd/', mode: 0o700, uid: 5 },
        { name: 'x', content: '1' },
        { name: 'x', content: '22' },
        { name: './', mode: 0o711 },
      ],
    );
    assert.deepEqual(paths(tree.root), ['/d', '/d/f', '/x']);
    assert.deepEqual(
      [tree.find('d')!.mode, tree.find('d')!.uid, tree.find('x')!.size, tree.root.mode],
      [0o700, 5, 2, 0o711],
    );
  });

  it('share an inode among hard links, also across layers; the target keeps its mode', async () => {
    const tree = await treeOf(
      [{ name: 'a', content: 'x', mode: 0o4755, uid: 7 }],
      [{ name: 'b', type: 'link', linkname: '/a', mode: 0o644 }],
    );
    assert.equal(tree.find('a'), tree.find('b'));
    assert.deepEqual([tree.find('b')!.mode, tree.find('b')!.uid], [0o4755, 7]);
  });

  it('go through symlinks of lower layers within the image, and never out of it', async () => {
    const tree = await treeOf(
      [
        { name: 'usr/lib/' },
        { name: 'lib', type: 'symlink', linkname: 'usr/lib' },
        { name: 'out', type: 'symlink', linkname: '/../../etc' },
      ],
      [
        { name: 'lib/x.so', content: 'x' },
        { name: 'out/passwd', content: 'x' },
      ],
    );
    assert.deepEqual(paths(tree.root), [
      '/etc',
      '/etc/passwd',
      '/lib',
      '/out',
      '/usr',
      '/usr/lib',
      '/usr/lib/x.so',
    ]);
    assert.equal(tree.find('/lib/x.so')!.layer, 1);
  });

  it('make the working directory that an image names', async () => {
    const tree = await treeOf([{ name: 'w', type: 'symlink', linkname: 'real' }, { name: 'real/' }]);
    tree.ensureFolder('/w/a/b');
    assert.deepEqual(paths(tree.root), ['/real', '/real/a', '/real/a/b', '/w']);
  });

  for (const [what, ...layers] of [
    ['a path with ..', [{ name: 'a/../../etc/passwd' }]],
    ['a whiteout of ..', [{ name: 'a/.wh...' }]],
    ['a whiteout of nothing', [{ name: 'a/.wh.' }]],
    ['a hard link out', [{ name: 'a', type: 'link', linkname: '../../etc/shadow' }]],
    ['a hard link to what is not there', [{ name: 'a', type: 'link', linkname: 'b' }]],
    ['a hard link to a folder', [{ name: 'd/' }, { name: 'a', type: 'link', linkname: 'd' }]],
    [
      'symlinks in a circle',
      [
        { name: 'a', type: 'symlink', linkname: 'b' },
        { name: 'b', type: 'symlink', linkname: 'a' },
        { name: 'a/x' },
      ],
    ],
    ['a file that is a folder too', [{ name: 'a', content: 'x' }, { name: 'a/b' }]],
    ['a root that is a file', [{ name: './', type: 'symlink', linkname: 'x' }]],
    ['a name of 256 bytes', [{ name: 'n'.repeat(256) }]],
    ['a path of 5000 bytes', [{ name: 'n/'.repeat(2500) }]],
    ['a symlink to nothing', [{ name: 'a', type: 'symlink', linkname: '' }]],
  ] as [string, ...Entry[][]][]) {
    it(`refuse ${what}`, async () => {
      await assert.rejects(treeOf(...layers), { code: 'image.bad-layer' });
    });
  }

  it('are refused when they hold more entries than the limit', async () => {
    const tree = new Tree();
    const [entry] = (await indexed([{ name: 'a' }]))!;
    assert.throws(() => tree.apply(new Array(1_000_001).fill(entry)), /more than 1000000 entries/);
  });
});

async function indexed(entries: Entry[]) {
  const indexer = new TarIndexer();
  indexer.push(await makeTar(entries));
  return indexer.finish();
}

describe('the file system of a tree', () => {
  it('is the same for the same tree, in whole pages, with a table of its devices', async () => {
    const layers = [
      [{ name: 'b', content: 'x' }, { name: 'a/' }],
      [{ name: 'a/c', content: 'y'.repeat(600) }],
    ];
    const encode = async () =>
      encodeErofs((await treeOf(...layers)).root, [
        { bytes: 4096, isDevice: false },
        { bytes: 8192, isDevice: true },
      ]);
    const disk = await encode();
    assert.deepEqual(disk, await encode());
    assert.equal(disk.length % 4096, 0);
    assert.equal(disk.readUInt32LE(1024), 0xe0f5e1e2);
    assert.equal(disk.readUInt16LE(1024 + 86), 1);
    // The device begins where the disk and the tar on it end.
    assert.equal(disk.readUInt32LE(2048 + 68), (disk.length + 4096) / 512);
    assert.equal(disk.readUInt32LE(2048 + 64), 16);
  });

  it('numbers no inode 0, which programs pass over', async () => {
    const disk = encodeErofs((await treeOf([{ name: 'a' }])).root, [{ bytes: 1024, isDevice: true }]);
    assert.ok(disk.readUInt16LE(1024 + 14) > 0);
  });

  it('writes 100,000 names in one folder, each block sorted', async () => {
    const tree = await treeOf([{ name: 'd/x' }]);
    const folder = tree.find('d')!;
    const file = folder.children.get('x')!;
    for (let n = 0; n < 100_000; n++) folder.children.set(`file-${n}`, { ...file });
    assert.ok(encodeErofs(tree.root, [{ bytes: 1024, isDevice: true }]).length > 100_000 * 64);
  });

  it('shares the large layers, as many as a machine has slots for', () => {
    const sizes = [100, 300_000, 1024 ** 3, ...Array.from({ length: 30 }, (_, n) => 1_000_000 + n)];
    const places = placeLayers(sizes);
    assert.equal(places.filter(({ isDevice }) => isDevice).length, 12);
    assert.deepEqual(
      places.slice(0, 3).map(({ isDevice }) => isDevice),
      [false, false, true],
    );
    assert.deepEqual(
      places.map(({ bytes }) => bytes),
      sizes,
    );
  });
});
