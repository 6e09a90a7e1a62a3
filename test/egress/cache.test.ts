// Downloads that one sandbox caused and others get: what is kept, what is not, and that no sandbox can put a byte there.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { openCache } from '../../src/egress/cache/cache.ts';
import { cacheDoor, get, newFolder, registry, requestsOf } from './cache-door.ts';
import { considered } from './cache-request.ts';
import { BODY, HOST, kept, TARBALL, twice, two, whole } from './cache-tarball.ts';

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
    const body = Readable.from([Buffer.alloc(60)]);
    const copy = cache.consider(considered(0))!.watch({
      kind: 'response',
      head: { status: 200, message: '', headers: [['content-length', '100']], bodiless: false },
      body,
      trailers: () => [],
    });
    body.pipe(copy!);
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
