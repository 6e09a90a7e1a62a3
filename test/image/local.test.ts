// Images that lie on this computer: a layout as a folder and as a tar, what `docker save` writes, the tar of a root.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ensureImage } from '../../src/image/index.ts';
import { digestOf, layoutOf, makeImage, makeTar, writeLayout } from './make-image.ts';

const folder = mkdtempSync(join(tmpdir(), 'warren-local-'));
const store = join(folder, 'store');
after(() => rmSync(folder, { recursive: true, force: true }));

async function open(path: string) {
  return await ensureImage({ store, environment: { kind: 'files', path } });
}

const layers = [
  await makeTar([{ name: 'a', content: 'a'.repeat(300_000) }]),
  await makeTar([{ name: '.wh.a' }]),
];
const image = makeImage(layers, { User: '1000', Env: ['A=1'] });

describe('an image on disk', () => {
  it('is the same as a folder, as a tar of it, and saved by docker', async () => {
    const asFolder = writeLayout(join(folder, 'layout'), image);
    const asTar = join(folder, 'layout.tar');
    writeFileSync(asTar, await makeTar([...layoutOf(image)].map(([name, content]) => ({ name, content }))));
    const saved = join(folder, 'saved.tar');
    const config = [...image.blobs.values()].find((bytes) => bytes.includes('diff_ids'))!;
    writeFileSync(
      saved,
      await makeTar([
        { name: 'one/layer.tar', content: layers[0]! },
        { name: 'two/layer.tar', content: layers[1]! },
        { name: 'c.json', content: config },
        {
          name: 'manifest.json',
          content: JSON.stringify([
            { Config: 'c.json', RepoTags: null, Layers: ['one/layer.tar', 'two/layer.tar'] },
          ]),
        },
      ]),
    );
    const ids = [(await open(asFolder)).id, (await open(asTar)).id, (await open(saved)).id];
    assert.equal(new Set(ids).size, 1);
    assert.deepEqual((await open(saved)).config, { user: '1000', workdir: '/', env: { A: '1' } });
    assert.equal(readdirSync(join(store, 'layers')).length, 2);
  });

  it('is the tar of a root file system, compressed or not', async () => {
    for (const [name, bytes] of [
      ['root.tar', layers[0]!],
      ['root.tar.gz', gzipSync(layers[0]!)],
    ] as const) {
      writeFileSync(join(folder, name), bytes);
      const { config, layers: disks } = await open(join(folder, name));
      assert.deepEqual(config, { user: 'root', workdir: '/', env: {} });
      assert.match(disks[0]![1]!, new RegExp(digestOf(layers[0]!).slice(7)));
    }
  });

  it('is read again when it has changed', async () => {
    const path = join(folder, 'changing.tar');
    writeFileSync(path, layers[0]!);
    const { id } = await open(path);
    writeFileSync(path, layers[1]!);
    utimesSync(path, 1, 1);
    assert.notEqual((await open(path)).id, id);
  });

  it('mends itself when a layer of it is gone', async () => {
    const path = writeLayout(join(folder, 'mended'), image);
    const { layers: disks } = await open(path);
    rmSync(disks[0]![1]!);
    assert.deepEqual((await open(path)).layers, disks);
  });

  it('says what it is not', async () => {
    await assert.rejects(open(join(folder, 'nothing')), { code: 'image.not-found' });
    await assert.rejects(open(folder), { code: 'image.not-found', message: /no OCI layout/ });
    writeFileSync(
      join(folder, 'archive.tar.gz'),
      gzipSync(await makeTar([{ name: 'oci-layout', content: '{}' }])),
    );
    await assert.rejects(open(join(folder, 'archive.tar.gz')), {
      code: 'image.bad-layer',
      message: /decompress it first/,
    });
    const broken = writeLayout(join(folder, 'broken'), image);
    writeFileSync(join(broken, `blobs/sha256/${image.digest.slice(7)}`), '{}');
    await assert.rejects(open(broken), { code: 'image.digest-mismatch' });
  });
});
