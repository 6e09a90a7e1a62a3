// Downloads that one sandbox caused and others get: what is kept, what is not, and that no sandbox can put a byte there.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { globSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import type { RequestListener, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { openCache } from '../../src/egress/cache/cache.ts';
import {
  type CacheDoor,
  cacheDoor,
  get,
  newFolder,
  type Registry,
  registry,
  requestsOf,
  sri,
} from './cache-door.ts';
import { considered } from './cache-request.ts';

const BODY = randomBytes(200_000);
const HOST = 'https://registry.npmjs.org';
const PATH = '/left-pad/-/left-pad-1.3.0.tgz';
const TARBALL = HOST + PATH;
const whole = (response: ServerResponse, body: Buffer, headers: Record<string, string> = {}) =>
  response.writeHead(200, { 'content-length': String(body.length), ...headers }).end(body);
const kept = (folder: string) => globSync(join(folder, '*/*'));

async function two(onRequest: RequestListener, options: { secure?: boolean; allow?: unknown[] } = {}) {
  const origin = await registry(onRequest, options.secure ?? true);
  const folder = newFolder();
  const door = () =>
    cacheDoor(folder, {
      origins: { 443: origin.port, 80: origin.port },
      ...(options.allow && { allow: options.allow }),
    });
  return { origin, folder, first: await door(), second: await door(), door };
}

/** Asked by the second after the first: how often the registry was asked, and what the second got. */
async function twice(
  { origin, first, second }: { origin: Registry; first: CacheDoor; second: CacheDoor },
  headers: [Record<string, string>, Record<string, string>] = [{}, {}],
  url = TARBALL,
) {
  await get(first, url, headers[0]);
  const got = await get(second, url, headers[1]);
  return { asked: origin.asked.length, got };
}

describe('a tarball of a public registry', () => {
  it('is fetched for the first sandbox and kept for the second', async () => {
    const pair = await two((_, response) => whole(response, BODY, { etag: '"x"', 'set-cookie': 'a=b' }));
    const { asked, got } = await twice(pair);
    assert.equal(asked, 1);
    assert.deepEqual(got.body, BODY);
    assert.equal(got.status, 200);
    assert.equal(got.headers['etag'], '"x"');
    assert.equal(got.headers['set-cookie'], undefined);
    assert.equal(pair.second.dialed.length, 0);
    assert.equal(pair.second.lookups.length, 0);
    const [event] = requestsOf(pair.second);
    assert.equal(event!.cached, true);
    assert.equal(event!.decision, 'allow');
    assert.equal(event!.bytesDown, BODY.length);
    assert.equal(requestsOf(pair.first)[0]!.cached, undefined);
    const flows = pair.second.ended('flow') as { upstream: string | null }[];
    assert.deepEqual(
      flows.map(({ upstream }) => upstream),
      flows.map(() => null),
    );
  });

  it('is kept when it is larger than what is read at once', async () => {
    const body = randomBytes(5 * 1024 ** 2 + 17);
    const { asked, got } = await twice(await two((_, response) => whole(response, body)));
    assert.equal(asked, 1);
    assert.ok(got.body.equals(body));
  });

  it('is denied when the rules deny it, although it is there', async () => {
    const pair = await two((_, response) => whole(response, BODY));
    await get(pair.first, TARBALL);
    const other = await cacheDoor(pair.folder, { allow: ['api.example'] });
    assert.equal((await get(other, TARBALL)).status, 403);
    assert.equal(requestsOf(other)[0]!.cached, undefined);
  });

  it('is fetched without any header that the guest chose', async () => {
    const pair = await two((_, response) => whole(response, BODY));
    await get(pair.first, TARBALL, { 'user-agent': 'npm/11 evil', 'npm-session': 'abc', accept: 'x/y' });
    assert.deepEqual(Object.keys(pair.origin.heads[0]!).sort(), [
      'accept',
      'accept-encoding',
      'connection',
      'host',
      'user-agent',
    ]);
    assert.equal(pair.origin.heads[0]!['user-agent'], 'warren');
  });

  it('is fetched anew after 30 days', async () => {
    const pair = await two((_, response) => whole(response, BODY));
    await get(pair.first, TARBALL);
    const later = await cacheDoor(
      pair.folder,
      { origins: { 443: pair.origin.port } },
      { nowUnixMs: () => Date.now() + 31 * 24 * 3_600_000 },
    );
    await get(later, TARBALL);
    assert.equal(pair.origin.asked.length, 2);
  });

  it('is not shared with a door that trusts other certificates', async () => {
    const pair = await two((_, response) => whole(response, BODY));
    await get(pair.first, TARBALL);
    const other = await cacheDoor(pair.folder, { origins: { 443: pair.origin.port } }, { extraCa: [] });
    await get(other, TARBALL);
    assert.equal(pair.origin.asked.length, 2);
  });
});

describe('what is never kept', () => {
  const answers: [string, RequestListener][] = [
    [
      'an answer that breaks off',
      (_, response) => {
        response.writeHead(200, { 'content-length': String(BODY.length) });
        response.write(BODY.subarray(0, 1_000), () => response.destroy());
      },
    ],
    ['an answer without a length', (_, response) => void response.writeHead(200).end(BODY)],
    [
      'a part of it',
      (_, response) => void response.writeHead(206, { 'content-range': 'bytes 0-9/20' }).end('x'),
    ],
    ['a redirect', (_, response) => void response.writeHead(302, { location: '/evil.tgz' }).end('moved')],
    ['an error', (_, response) => void response.writeHead(404, { 'content-length': '1' }).end('x')],
    ['an answer that varies by a cookie', (_, response) => whole(response, BODY, { vary: 'accept, cookie' })],
    ['an answer that varies by anything', (_, response) => whole(response, BODY, { vary: '*' })],
    ['what the registry forbids', (_, response) => whole(response, BODY, { 'cache-control': 'no-store' })],
    ['what is for one client', (_, response) => whole(response, BODY, { 'cache-control': 'private' })],
    ['an encoded answer', (_, response) => whole(response, BODY, { 'content-encoding': 'gzip' })],
    ['a page', (_, response) => whole(response, BODY, { 'content-type': 'text/html; charset=utf-8' })],
    ['nothing', (_, response) => whole(response, Buffer.alloc(0))],
  ];
  for (const [what, onRequest] of answers)
    it(what, async () => {
      const pair = await two(onRequest);
      const { asked } = await twice(pair);
      assert.equal(asked, 2);
      assert.deepEqual(kept(pair.folder), []);
    });

  const requests: [string, Record<string, string>][] = [
    ['with Authorization', { authorization: 'Bearer x' }],
    ['with a cookie', { cookie: 'a=b' }],
    ['with Range', { range: 'bytes=0-' }],
    ['with a condition', { 'if-none-match': '"x"' }],
    ['with a header that nobody knows', { 'x-forwarded-host': 'evil.example' }],
  ];
  for (const [what, headers] of requests)
    it(`the answer to a request ${what}`, async () => {
      const pair = await two((_, response) => whole(response, BODY));
      const { asked } = await twice(pair, [headers, {}]);
      assert.equal(asked, 2);
      // And such a request is not answered from what is kept.
      await get(pair.second, TARBALL, headers);
      assert.equal(pair.origin.asked.length, 3);
      for (const [name, value] of Object.entries(headers)) assert.equal(pair.origin.heads[2]![name], value);
    });

  it('the answer to a request that a secret was put into', async () => {
    const origin = await registry((_, response) => whole(response, BODY));
    const folder = newFolder();
    const secrets = {
      substitute: ({ headers }: { headers: readonly (readonly [string, string])[] }) => ({
        headers,
        used: ['TOKEN'],
      }),
    };
    const door = await cacheDoor(folder, { origins: { 443: origin.port }, secrets });
    await get(door, TARBALL, { 'user-agent': 'x' });
    assert.deepEqual(kept(folder), []);
  });

  it('an answer that ends early, as a reset stream of HTTP/2 does', async () => {
    const folder = newFolder();
    const cache = await openCache({ folder });
    cache.consider(considered(0))!.watch({
      kind: 'response',
      head: { status: 200, message: '', headers: [['content-length', '100']], bodiless: false },
      body: Readable.from([Buffer.alloc(60)]),
      trailers: () => [],
    });
    await cache.settled();
    assert.deepEqual(kept(folder), []);
  });

  it('an answer to HEAD or to a query', async () => {
    const pair = await two((_, response) => whole(response, BODY));
    await get(pair.first, TARBALL, {}, 'HEAD');
    await get(pair.first, `${TARBALL}?a=b`);
    assert.deepEqual(kept(pair.folder), []);
  });

  it('what comes over plain HTTP, unless its digest is named', async () => {
    const pair = await two((_, response) => whole(response, BODY), {
      secure: false,
      allow: [{ host: 'deb.debian.org', http: true, registry: 'read' }],
    });
    const deb = 'http://deb.debian.org/debian/pool/main/h/hello/hello_2.10-3_amd64.deb';
    assert.equal((await twice(pair, [{}, {}], deb)).asked, 2);
    assert.deepEqual(kept(pair.folder), []);
    const hex = createHash('sha256').update(BODY).digest('hex');
    const byHash = `http://deb.debian.org/debian/dists/trixie/main/binary-amd64/by-hash/SHA256`;
    assert.equal((await twice(pair, [{}, {}], `${byHash}/${hex}`)).asked, 3);
    assert.equal((await twice(pair, [{}, {}], `${byHash}/${'a'.repeat(64)}`)).asked, 5);
    assert.equal(kept(pair.folder).length, 1);
  });
});

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

describe('what is on the disk', () => {
  const damage: [string, (path: string) => void][] = [
    ['a byte is another', (path) => change(path, 50_000)],
    ['a byte of the record is another', (path) => change(path, 30)],
    ['a header is another', (path) => change(path, readFileSync(path).indexOf('text/plain'))],
    ['it is shorter', (path) => truncateSync(path, 100_000)],
    ['it is longer', (path) => writeFileSync(path, 'x', { flag: 'a' })],
    ['it is empty', (path) => truncateSync(path, 0)],
  ];
  for (const [what, hurt] of damage)
    it(`is fetched anew when ${what}`, async () => {
      const pair = await two((_, response) => whole(response, BODY, { 'content-type': 'text/plain' }));
      await get(pair.first, TARBALL);
      hurt(kept(pair.folder)[0]!);
      assert.deepEqual((await get(pair.second, TARBALL)).body, BODY);
      assert.equal(pair.origin.asked.length, 2);
      assert.deepEqual((await get(pair.second, TARBALL)).body, BODY);
      assert.equal(pair.origin.asked.length, 2);
    });

  it('is not taken for what another address was answered', async () => {
    const pair = await two(({ url }, response) => whole(response, Buffer.from(url!)));
    const other = TARBALL.replace('1.3.0', '1.2.0');
    await get(pair.first, TARBALL);
    const [from] = kept(pair.folder);
    await get(pair.first, other);
    const to = kept(pair.folder).find((path) => path !== from)!;
    writeFileSync(to, readFileSync(from!));
    assert.equal((await get(pair.second, other)).body.toString(), new URL(other).pathname);
  });

  it('stays within its size: what was asked for longest ago goes', async () => {
    const body = randomBytes(100_000);
    const origin = await registry((_, response) => whole(response, body));
    const folder = newFolder();
    const door = await cacheDoor(folder, { origins: { 443: origin.port } }, { maxBytes: 450_000 });
    const nth = (nr: number) => `${HOST}/a/-/a-1.0.${nr}.tgz`;
    for (let nr = 0; nr < 4; nr++) await get(door, nth(nr));
    await get(door, nth(0));
    assert.equal(origin.asked.length, 4);
    await get(door, nth(4));
    assert.ok(kept(folder).length < 5);
    await get(door, nth(0));
    assert.equal(origin.asked.length, 5, 'it was asked for last');
    await get(door, nth(1));
    assert.equal(origin.asked.length, 6);
  });

  it('does not get what is larger than a quarter of it', async () => {
    const origin = await registry((_, response) => whole(response, BODY));
    const folder = newFolder();
    const door = await cacheDoor(folder, { origins: { 443: origin.port } }, { maxBytes: 700_000 });
    await get(door, TARBALL);
    assert.deepEqual(kept(folder), []);
  });
});

function change(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 1;
  writeFileSync(path, bytes);
}
