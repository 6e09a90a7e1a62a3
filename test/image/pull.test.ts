// Pulls from a real registry, Debian's docker-registry: by tag and digest, with and without credentials, compressed
// in each way. What a registry may do wrong is in misbehave.test.ts.

import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { chooseEnvironment } from '../../src/environment/index.ts';
import type { ImageRequest } from '../../src/image/image.ts';
import { ensureImage } from '../../src/image/index.ts';
import { indexOf, type MadeImage, makeImage, makeTar, push, pushManifest } from './make-image.ts';
import { type RunningRegistry, registryProgram, startRegistry } from './registry-program.ts';

const found = registryProgram();
const folder = mkdtempSync(join(tmpdir(), 'warren-pull-'));
after(() => rmSync(folder, { recursive: true, force: true }));
/** bcrypt of "open sesame", made once with crypt(3). */
const HTPASSWD = 'ann:$2y$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW';
let stores = 0;

function freshStore(): string {
  return mkdtempSync(join(folder, `store-${stores++}-`));
}

async function pull(store: string, name: string, fresh = false) {
  return await ensureImage({
    store,
    environment: chooseEnvironment(name) as ImageRequest['environment'],
    fresh,
  });
}

describe('a pull', { skip: 'missing' in found && found.missing }, () => {
  let registry: RunningRegistry;
  let base: Buffer;
  let one: MadeImage;
  before(async () => {
    registry = await startRegistry((found as { program: string }).program, join(folder, 'registry'));
    base = await makeTar([{ name: 'etc/os', content: 'x'.repeat(300_000) }]);
    one = makeImage([base, await makeTar([{ name: 'a', content: 'one' }])], {
      User: 'ann:team',
      WorkingDir: '/w',
      Env: ['A=b'],
    });
    await push(registry.url, 'team/tool', 'one', one);
  });
  after(() => registry.stop());

  it('gets an image by tag, keeps it, and asks nobody the second time', async () => {
    const store = freshStore();
    const image = await pull(store, `${registry.host}/team/tool:one`);
    assert.deepEqual(image.config, { user: 'ann:team', workdir: '/w', env: { A: 'b' } });
    assert.equal(image.layers.length, 1);
    assert.equal(image.layers[0]!.length, 2, 'the disk and one large layer');
    assert.deepEqual(readFileSync(image.layers[0]![1]!), base);
    assert.equal(statSync(image.layers[0]![0]!).mode & 0o777, 0o444);
    const again = makeImage([await makeTar([{ name: 'other' }])]);
    await push(registry.url, 'team/tool', 'moved', one);
    const before = await pull(store, `${registry.host}/team/tool:moved`);
    await push(registry.url, 'team/tool', 'moved', again);
    assert.equal((await pull(store, `${registry.host}/team/tool:moved`)).id, before.id);
    assert.notEqual((await pull(store, `${registry.host}/team/tool:moved`, true)).id, before.id);
  });

  it('gets an image by digest, and the one for this computer out of an index', async () => {
    const other = makeImage([await makeTar([{ name: 'foreign' }])], {}, { architecture: 's390x' });
    await push(registry.url, 'team/many', 'other', other);
    await push(registry.url, 'team/many', 'one', one);
    const own = process.arch === 'x64' ? 'amd64' : process.arch;
    const index = indexOf(
      { image: other, platform: { os: 'linux', architecture: 's390x' } },
      { image: one, platform: { os: 'linux', architecture: own } },
    );
    await pushManifest(registry.url, 'team/many', 'all', index, 'application/vnd.oci.image.index.v1+json');
    const store = freshStore();
    const image = await pull(store, `${registry.host}/team/many:all`);
    assert.equal((await pull(store, `${registry.host}/team/many@${one.digest}`)).id, image.id);
    const foreign = indexOf({ image: other, platform: { os: 'linux', architecture: 's390x' } });
    await pushManifest(
      registry.url,
      'team/many',
      'foreign',
      foreign,
      'application/vnd.oci.image.index.v1+json',
    );
    await assert.rejects(pull(store, `${registry.host}/team/many:foreign`), {
      code: 'image.no-platform',
      message: /s390x/,
    });
    await assert.rejects(pull(store, `${registry.host}/team/many@${other.digest}`), {
      code: 'image.no-platform',
    });
  });

  for (const compression of ['none', 'gzip', 'zstd'] as const) {
    it(`gets layers that are compressed with ${compression}; images share them`, async () => {
      const name = `${compression}-x`;
      await push(registry.url, name, 'latest', makeImage([base], {}, { compression }));
      await push(
        registry.url,
        name,
        'more',
        makeImage([base, await makeTar([{ name: 'm' }])], {}, { compression }),
      );
      const store = freshStore();
      const [first, second] = await Promise.all([
        pull(store, `${registry.host}/${name}`),
        pull(store, `${registry.host}/${name}:more`),
      ]);
      assert.equal(first!.layers[0]![1], second!.layers[0]![1]);
      assert.equal(readdirSync(join(store, 'layers')).filter((file) => file.endsWith('.tar')).length, 2);
    });
  }

  it('says what is not there, and who cannot be reached', async () => {
    const store = freshStore();
    await assert.rejects(pull(store, `${registry.host}/team/tool:none`), {
      code: 'image.not-found',
      message: /no none of it/,
    });
    await assert.rejects(pull(store, `${registry.host}/team/nothing`), { code: 'image.not-found' });
    await assert.rejects(pull(store, `127.0.0.1:1/x`), {
      code: 'image.registry-unreachable',
      message: /127\.0\.0\.1:1/,
    });
    assert.deepEqual(readdirSync(store), []);
  });
});

describe('a pull with credentials', { skip: 'missing' in found && found.missing }, () => {
  let registry: RunningRegistry;
  const home = mkdtempSync(join(folder, 'home-'));
  const saved = {
    HOME: process.env['HOME'],
    PATH: process.env['PATH'],
    XDG_CONFIG_HOME: process.env['XDG_CONFIG_HOME'],
  };
  const basic = `Basic ${Buffer.from('ann:open sesame').toString('base64')}`;
  before(async () => {
    writeFileSync(join(folder, 'htpasswd'), `${HTPASSWD}\n`);
    registry = await startRegistry(
      (found as { program: string }).program,
      join(folder, 'closed'),
      join(folder, 'htpasswd'),
    );
    await push(registry.url, 'x', 'latest', makeImage([await makeTar([{ name: 'a' }])]), basic);
    process.env['HOME'] = home;
    delete process.env['XDG_CONFIG_HOME'];
  });
  after(async () => {
    for (const [name, value] of Object.entries(saved))
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    await registry.stop();
  });
  const dockerSays = (value: unknown) => {
    mkdirSync(join(home, '.docker'), { recursive: true });
    writeFileSync(join(home, '.docker/config.json'), JSON.stringify(value));
  };

  it('is refused without any, or with wrong ones, and the words hold no secret', async () => {
    dockerSays({});
    await assert.rejects(pull(freshStore(), `${registry.host}/x`), {
      code: 'image.unauthorized',
      remedy: /docker login 127/,
    });
    dockerSays({ auths: { [registry.host]: { auth: Buffer.from('ann:wrong-secret').toString('base64') } } });
    await assert.rejects(pull(freshStore(), `${registry.host}/x`), (error: Error & { code: string }) => {
      assert.equal(error.code, 'image.unauthorized');
      assert.doesNotMatch(JSON.stringify(error), /wrong-secret|YW5u/);
      return true;
    });
  });

  it('reads them where docker login keeps them', async () => {
    dockerSays({ auths: { [registry.host]: { auth: Buffer.from('ann:open sesame').toString('base64') } } });
    assert.ok(await pull(freshStore(), `${registry.host}/x`));
  });

  it('asks a credential helper', async () => {
    const helper = join(home, 'docker-credential-test');
    writeFileSync(
      helper,
      `#!/bin/sh\nread server\n[ "$server" = ${registry.host} ] || exit 1\nprintf '{"Username":"ann","Secret":"open sesame"}'\n`,
    );
    chmodSync(helper, 0o755);
    process.env['PATH'] = `${home}:${saved.PATH}`;
    dockerSays({ credHelpers: { [registry.host]: 'test' } });
    assert.ok(await pull(freshStore(), `${registry.host}/x`));
    dockerSays({ credsStore: '../evil' });
    await assert.rejects(pull(freshStore(), `${registry.host}/x`), { code: 'image.credentials' });
  });
});
