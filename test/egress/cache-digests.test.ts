// Downloads whose digest an index, a path or a guest says: kept only where it fits.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { describe, it } from 'node:test';
import { cacheDoor, get, newFolder, registry, sri } from './cache-door.ts';
import { BODY, HOST, kept, PATH, TARBALL, twice, two, whole } from './cache-tarball.ts';

describe('digests', () => {
  const document = (integrity: string) =>
    JSON.stringify({ versions: { '1.3.0': { dist: { tarball: TARBALL, integrity } } } });
  const npmWith =
    (integrity: string): RequestListener =>
    ({ url }, response) =>
      url === PATH ? whole(response, BODY) : whole(response, Buffer.from(document(integrity)));

  it('of the index must fit', async () => {
    const pair = await two(npmWith(sri(Buffer.from('another'))));
    await get(pair.first, `${HOST}/left-pad`);
    assert.deepEqual((await get(pair.first, TARBALL)).body, BODY);
    assert.deepEqual(kept(pair.folder), []);
  });

  it('of the index must fit what is kept, too', async () => {
    let integrity = sri(BODY);
    const pair = await two((request, response) => npmWith(integrity)(request, response));
    await get(pair.first, `${HOST}/left-pad`);
    await get(pair.first, TARBALL);
    assert.equal(kept(pair.folder).length, 1);
    integrity = sri(Buffer.from('another'));
    await get(pair.second, `${HOST}/left-pad`);
    await get(pair.second, TARBALL);
    assert.equal(pair.origin.asked.filter((each) => each.endsWith('.tgz')).length, 2);
  });

  it('that a guest claims are good for nobody who does not claim the same', async () => {
    const own = { registries: { npm: ['https://npm.corp.example/'] } };
    const origin = await registry((_, response) => whole(response, BODY));
    const folder = newFolder();
    const open = () => cacheDoor(folder, { allow: ['npm.corp.example'], origins: { 443: origin.port } }, own);
    const [first, second] = [await open(), await open()];
    const url = 'https://npm.corp.example/a/-/a-1.0.0.tgz';
    await get(first, url);
    assert.deepEqual(kept(folder), [], 'nothing proves it');
    await get(first, url, { 'pacote-integrity': sri(Buffer.from('a lie')) });
    assert.deepEqual(kept(folder), [], 'it is not what was claimed');
    await get(first, url, { 'pacote-integrity': sri(BODY) });
    assert.equal(kept(folder).length, 1);
    assert.equal(origin.asked.length, 3);
    await get(second, url);
    assert.equal(origin.asked.length, 4);
    await get(second, url, { 'pacote-integrity': sri(Buffer.from('a lie')) });
    assert.equal(origin.asked.length, 5);
    const got = await get(second, url, { 'pacote-integrity': `sha1-abc ${sri(BODY)}` });
    assert.equal(origin.asked.length, 5);
    assert.deepEqual(got.body, BODY);
  });

  it('of an index of one registry say nothing about another', async () => {
    const evil = JSON.stringify({
      versions: { 1: { dist: { tarball: TARBALL, integrity: sri(Buffer.from('x')) } } },
    });
    const own = { registries: { npm: ['https://npm.corp.example/'] } };
    const origin = await registry(({ url }, response) =>
      whole(response, url === PATH ? BODY : Buffer.from(evil)),
    );
    const folder = newFolder();
    const allow = ['npm.corp.example', { host: 'registry.npmjs.org', registry: 'read' }];
    const door = await cacheDoor(folder, { allow, origins: { 443: origin.port } }, own);
    await get(door, 'https://npm.corp.example/left-pad');
    await get(door, TARBALL);
    assert.equal(kept(folder).length, 1);
  });

  const sha256 = createHash('sha256').update(BODY).digest('hex');
  const blake2 = '/packages/aa/bb/left_pad-1.0.0-py3-none-any.whl';
  const indexes: [string, string, string, string, string][] = [
    [
      'PyPI, HTML',
      'https://pypi.org/simple/a/',
      `<a href="https://files.pythonhosted.org/a-1.0.tar.gz#sha256=${sha256}">a</a>`,
      'https://files.pythonhosted.org/a-1.0.tar.gz',
      'pypi.org',
    ],
    [
      'PyPI, JSON',
      'https://pypi.org/simple/a/',
      JSON.stringify({
        files: [
          {
            url: `https://files.pythonhosted.org${blake2}`,
            hashes: {},
            'core-metadata': { sha256 },
          },
        ],
      }),
      `https://files.pythonhosted.org${blake2}.metadata`,
      'pypi.org',
    ],
    [
      'crates.io',
      'https://index.crates.io/se/rd/serde',
      `${JSON.stringify({ name: 'serde', vers: '1.0.0', cksum: sha256 })}\n`,
      'https://static.crates.io/crates/serde/1.0.0/download',
      'index.crates.io',
    ],
  ];
  for (const [what, index, text, file, host] of indexes)
    for (const fits of [true, false])
      it(`of ${what} are learned, and ${fits ? 'let it be kept' : 'keep another out'}`, async () => {
        const origin = await registry(({ headers }, response) =>
          headers.host === host
            ? whole(response, Buffer.from(text))
            : response.writeHead(200, { 'transfer-encoding': 'chunked' }).end(fits ? BODY : 'another'),
        );
        const folder = newFolder();
        const allow = [host, new URL(file).hostname];
        const door = await cacheDoor(folder, { allow, origins: { 443: origin.port } });
        await get(door, file);
        assert.deepEqual(kept(folder), [], 'nothing tells its digest yet, nor its length');
        await get(door, index);
        await get(door, file);
        assert.equal(kept(folder).length, fits ? 1 : 0);
      });

  it('in the path of a Python file must fit', async () => {
    // echo -n warren | b2sum -l 256
    const text = Buffer.from('warren');
    const hex = '7f3ff45150a5fd74c9f402f55a786063aab9d4a889a4dddd4f30545439f8cf67';
    const path = (digest: string) =>
      `https://files.pythonhosted.org/packages/${digest.slice(0, 2)}/${digest.slice(2, 4)}/${digest.slice(4)}/a-1.whl`;
    const pair = await two((_, response) => whole(response, text), { allow: ['files.pythonhosted.org'] });
    assert.equal((await twice(pair, [{}, {}], path(hex))).asked, 1);
    assert.equal((await twice(pair, [{}, {}], path(hex.replace(/^./, 'f')))).asked, 3);
    assert.equal(kept(pair.folder).length, 1);
  });
});
