// A registry that does wrong on purpose, one thing a test: whatever it says, no layer that is not what its digest says
// is kept, and nobody learns the user's credentials but the host that they are for.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { chooseEnvironment } from '../../src/environment/index.ts';
import type { ImageRequest } from '../../src/image/image.ts';
import { ensureImage } from '../../src/image/index.ts';
import { parseChallenge } from '../../src/image/registry/challenge.ts';
import { digestOf, type MadeImage, makeImage, makeTar } from './make-image.ts';

const folder = mkdtempSync(join(tmpdir(), 'warren-misbehave-'));
const servers: Server[] = [];
const savedHome = process.env['HOME'];
after(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
  process.env['HOME'] = savedHome;
});

type Handler = (request: IncomingMessage, response: ServerResponse) => boolean;

async function listen(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(handle);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Serves `image`; `first` may answer in its own way. */
async function serve(
  image: MadeImage,
  first: Handler = () => false,
): Promise<{ host: string; asked: string[] }> {
  const asked: string[] = [];
  const host = await listen((request, response) => {
    asked.push(
      `${request.method} ${request.url} ${request.headers.authorization ?? '-'} ${request.headers.range ?? '-'}`,
    );
    if (first(request, response)) return;
    const manifest = /^\/v2\/x\/manifests\//.test(request.url!);
    const bytes = manifest
      ? image.manifest
      : image.blobs.get(decodeURIComponent(request.url!.replace('/v2/x/blobs/', '')));
    if (!bytes) response.writeHead(404).end();
    else
      response
        .writeHead(200, {
          'content-type': 'application/vnd.oci.image.manifest.v1+json',
          'content-length': bytes.length,
        })
        .end(bytes);
  });
  return { host, asked };
}

function freshStore(): string {
  return mkdtempSync(join(folder, 'store-'));
}

async function pull(host: string, store = freshStore()) {
  return await ensureImage({
    store,
    environment: chooseEnvironment(`${host}/x`) as ImageRequest['environment'],
  });
}

function left(store: string): string[] {
  return readdirSync(store, { recursive: true })
    .map(String)
    .filter((name) => name.includes('.'));
}

const tar = await makeTar([{ name: 'a', content: Buffer.alloc(500_000, 'abc') }]);
const plain = makeImage([tar], {}, { compression: 'none' });
const layerDigest = digestOf(tar);
const isLayer = (request: IncomingMessage) => request.url!.includes(layerDigest);

describe('a registry', () => {
  it('that gives another layer than it announced leaves nothing behind', async () => {
    for (const wrong of [
      Buffer.from(tar).fill('X', 600, 601),
      Buffer.concat([tar, Buffer.alloc(512)]),
      Buffer.alloc(tar.length),
    ]) {
      const store = freshStore();
      const { host } = await serve(
        plain,
        (request, response) => isLayer(request) && !!response.writeHead(200).end(wrong),
      );
      await assert.rejects(pull(host, store), { code: 'image.digest-mismatch' });
      assert.deepEqual(left(store), []);
    }
  });

  it('whose layer is another tar once it is decompressed is refused', async () => {
    const lied = makeImage([tar]);
    const other = gzipSync(await makeTar([{ name: 'b' }]));
    const config = [...lied.blobs].find(([, bytes]) => bytes.includes('diff_ids'))!;
    const manifest = JSON.parse(lied.manifest.toString());
    manifest.layers[0] = { ...manifest.layers[0], digest: digestOf(other), size: other.length };
    const store = freshStore();
    const { host } = await serve({
      manifest: Buffer.from(JSON.stringify(manifest)),
      digest: '',
      blobs: new Map([config, [digestOf(other), other]]),
    });
    await assert.rejects(pull(host, store), { code: 'image.digest-mismatch' });
    assert.deepEqual(left(store), []);
  });

  it('that breaks off is asked for the rest, also when it then sends all of it', async () => {
    for (const ranges of [true, false]) {
      let broken = 0;
      const { host, asked } = await serve(plain, (request, response) => {
        if (!isLayer(request)) return false;
        const from = ranges ? Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0) : 0;
        const rest = tar.subarray(from);
        response.writeHead(from > 0 ? 206 : 200, { 'content-length': rest.length });
        if (broken++ < 2)
          response.write(rest.subarray(0, 150_000 * broken), () => setTimeout(() => response.destroy(), 50));
        else response.end(rest);
        return true;
      });
      const image = await pull(host);
      assert.equal(image.layers[0]!.length, 2);
      assert.ok(
        asked.some((line) => /bytes=\d{5,}-$/.test(line)),
        asked.join('\n'),
      );
    }
  });

  it('that is busy is asked again when it says', async () => {
    let busy = 0;
    const { host } = await serve(
      plain,
      (_, response) =>
        busy++ < 3 && !!response.writeHead(busy === 1 ? 503 : 429, { 'retry-after': '0' }).end(),
    );
    assert.ok(await pull(host));
  });

  it('that breaks off in a manifest is told so', async () => {
    const { host } = await serve(plain, (request, response) => {
      if (!request.url!.includes('/manifests/')) return false;
      response
        .writeHead(200, { 'content-length': 1000 })
        .write('{', () => setTimeout(() => response.destroy(), 20));
      return true;
    });
    await assert.rejects(pull(host), { code: 'image.registry-unreachable', message: /broke off/ });
  });

  it('that answers without end is cut off', async () => {
    const { host } = await serve(plain, (request, response) => {
      if (!request.url!.includes('/manifests/')) return false;
      const more = () => response.write(Buffer.alloc(1024 ** 2, ' ')) && setImmediate(more);
      response.on('drain', more).writeHead(200);
      more();
      return true;
    });
    await assert.rejects(pull(host), { code: 'image.too-large' });
  });

  it('that redirects in a circle, or to plain HTTP from HTTPS, is refused', async () => {
    const { host } = await serve(
      plain,
      (request, response) => !!response.writeHead(307, { location: request.url! }).end(),
    );
    await assert.rejects(pull(host), { code: 'image.registry-refused', message: /redirects without end/ });
  });

  for (const [what, manifest] of [
    ['no JSON', 'hello'],
    ['null', 'null'],
    ['schema 1', '{"schemaVersion":1,"fsLayers":[]}'],
    [
      'a digest that is a path',
      JSON.stringify({ config: { digest: '../../etc/passwd', size: 1 }, layers: [] }),
    ],
    ['an index of itself', null],
    ['a negative size', JSON.stringify({ config: { digest: digestOf(tar), size: -1 }, layers: [] })],
  ] as const) {
    it(`whose manifest is ${what} is refused`, async () => {
      const { host } = await serve(plain, (request, response) => {
        if (!request.url!.includes('/manifests/')) return false;
        const index = JSON.stringify({ manifests: [{ digest: layerDigest, size: 3, mediaType: 'x' }] });
        return !!response.writeHead(200).end(manifest ?? index);
      });
      await assert.rejects(pull(host), (error: { code: string }) =>
        ['image.bad-manifest', 'image.digest-mismatch'].includes(error.code),
      );
    });
  }

  it('whose layer expands without end is stopped at the size that it announced, or by its digest', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 ** 2));
    const image = makeImage([Buffer.alloc(0)]);
    const manifest = JSON.parse(image.manifest.toString());
    manifest.layers[0] = { ...manifest.layers[0], digest: digestOf(bomb), size: bomb.length };
    image.blobs.set(digestOf(bomb), bomb);
    const store = freshStore();
    const { host } = await serve({ ...image, manifest: Buffer.from(JSON.stringify(manifest)) });
    await assert.rejects(pull(host, store), { code: 'image.digest-mismatch' });
    assert.deepEqual(left(store), []);
  });

  it('whose layer is damaged gzip or no tar at all is told so', async () => {
    for (const layer of [gzipSync(tar).subarray(0, 300), Buffer.from('words, not a tar'.repeat(100))]) {
      const image = makeImage([layer], {}, { compression: 'none' });
      const { host } = await serve(image);
      await assert.rejects(pull(host), { code: 'image.bad-layer' });
    }
  });
});

describe('credentials', () => {
  const logIn = (host: string) => {
    const home = mkdtempSync(join(folder, 'home-'));
    mkdirSync(join(home, '.docker'));
    const auth = Buffer.from('ann:secret').toString('base64');
    writeFileSync(join(home, '.docker/config.json'), JSON.stringify({ auths: { [host]: { auth } } }));
    process.env['HOME'] = home;
    return `Basic ${auth}`;
  };

  it('go to the token server, the token to the registry, and neither to where it redirects', async () => {
    const elsewhere: string[] = [];
    const store = await listen((request, response) => {
      elsewhere.push(request.headers.authorization ?? '-');
      response.end(tar);
    });
    const tokens: string[] = [];
    const server = await listen((request, response) => {
      tokens.push(`${request.url} ${request.headers.authorization ?? '-'}`);
      response.end(JSON.stringify({ token: 'the-token' }));
    });
    const { host, asked } = await serve(plain, (request, response) => {
      if (request.headers.authorization !== 'Bearer the-token')
        return !!response
          .writeHead(401, {
            'www-authenticate': `Bearer realm="http://${server}/token?a=b",service="reg",scope="repository:x:pull"`,
          })
          .end();
      return isLayer(request) && !!response.writeHead(307, { location: `http://${store}/blob` }).end();
    });
    const basic = logIn(host);
    assert.ok(await pull(host));
    assert.deepEqual(tokens, [`/token?a=b&service=reg&scope=repository%3Ax%3Apull ${basic}`]);
    assert.deepEqual(elsewhere, ['-']);
    assert.ok(
      asked.every((line) => !line.includes('Basic')),
      'the registry itself asked for a token only',
    );
  });

  it('of one registry are not told to another', async () => {
    const { host } = await serve(plain);
    logIn(host);
    const { host: other, asked } = await serve(
      plain,
      (request, response) =>
        request.headers.authorization === undefined &&
        !!response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end(),
    );
    await assert.rejects(pull(other), { code: 'image.unauthorized' });
    assert.ok(asked.every((line) => line.includes(' - ')));
  });

  it('are not sent when nobody asks for them', async () => {
    const { host, asked } = await serve(plain);
    logIn(host);
    await pull(host);
    assert.ok(asked.every((line) => line.includes(' - ')));
  });

  it('are asked for once: a registry that refuses them is not begged', async () => {
    const { host, asked } = await serve(
      plain,
      (_, response) => !!response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end(),
    );
    logIn(host);
    await assert.rejects(pull(host), { code: 'image.unauthorized' });
    assert.equal(asked.length, 2);
  });
});

describe('a challenge', () => {
  for (const [header, wanted] of [
    ['Basic realm="x"', { scheme: 'basic' }],
    [
      'Bearer realm="https://a/t",service="s",scope="a,b"',
      { scheme: 'bearer', realm: 'https://a/t', service: 's', scope: 'a,b' },
    ],
    [
      'basic realm="x", bearer realm=https://a/t',
      { scheme: 'bearer', realm: 'https://a/t', service: null, scope: null },
    ],
    ['Bearer service="s"', null],
    ['Negotiate', null],
    [undefined, null],
  ] as const)
    it(`${header}`, () => assert.deepEqual(parseChallenge(header), wanted));
});
