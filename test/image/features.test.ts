// Features of devcontainer.json: the repository's own are copied, and nothing else of this computer; the reference
// implementation orders them and writes the Dockerfile.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { FEATURE_LIMITS, type FeatureLimits } from '../../src/image/features/limits.ts';
import { stageFeatures } from '../../src/image/features/stage-features.ts';
import type { Image } from '../../src/image/index.ts';
import { digestOf, type Entry, makeTar, push } from './make-image.ts';
import { type RunningRegistry, registryProgram, startRegistry } from './registry-program.ts';

const top = mkdtempSync(join(tmpdir(), 'warren-features-test-'));
after(() => rmSync(top, { recursive: true, force: true }));

const base: Image = {
  id: 'base',
  folder: '/images/base',
  layers: [],
  config: { user: 'root', workdir: '/', env: { PATH: '/bin' } },
};

const feature = (id: string, more: object = {}) => ({
  [`.devcontainer/${id}/devcontainer-feature.json`]: JSON.stringify({ id, version: '1.0.0', ...more }),
  [`.devcontainer/${id}/install.sh`]: `echo installing ${id}\n`,
});

let count = 0;
function repository(files: Record<string, string>): string {
  const root = join(top, `repository-${count++}`);
  for (const [path, text] of Object.entries({ '.devcontainer/devcontainer.json': '{}', ...files })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

function stage(
  root: string,
  features: Record<string, unknown>,
  file = '.devcontainer/devcontainer.json',
  fresh = false,
  limits: Partial<FeatureLimits> = {},
) {
  const told: string[] = [];
  const environment = stageFeatures({
    store: join(top, 'store'),
    base,
    config: { features },
    file: join(root, file),
    root,
    fresh,
    limits: { ...FEATURE_LIMITS, ...limits },
    signal: new AbortController().signal,
    onProgress: ({ step }) => told.push(step),
  });
  return environment.then((value) => ({ ...value, told, text: readFileSync(value.file, 'utf8') }));
}

const installed = (text: string) =>
  [...text.matchAll(/dev_containers_feature_content_source,source=([a-z]+)_\d/g)].map(([, id]) => id);

describe('features of the repository', () => {
  it('are installed after those that they depend on, which may be its own too and are named by nobody else', async () => {
    const root = repository({
      ...feature('top', { dependsOn: { './middle': {} } }),
      ...feature('middle', { dependsOn: { './bottom': { greeting: 'hi' } } }),
      ...feature('bottom', { options: { greeting: { type: 'string', default: 'no' } } }),
      ...feature('unused'),
    });
    const { text, contexts, told } = await stage(root, { './top': {} });
    assert.deepEqual(installed(text), ['bottom', 'middle', 'top'], text);
    assert.equal(contexts['warren_base'], 'warren-image:///images/base');
    assert.equal(told.length, 1);
    // Known: nobody is asked again; an edit of any of them counts.
    assert.equal((await stage(root, { './top': {} })).told.length, 0);
    writeFileSync(join(root, '.devcontainer/bottom/install.sh'), 'echo other\n');
    assert.equal((await stage(root, { './top': {} })).told.length, 1);
  });

  it('may be asked for twice at once', async () => {
    const root = repository({ ...feature('twice') });
    const both = await Promise.all([stage(root, { './twice': {} }), stage(root, { './twice': {} })]);
    assert.deepEqual(
      both.map(({ text }) => installed(text)),
      [['twice'], ['twice']],
    );
  });

  it('in a circle are an error', async () => {
    const root = repository({
      ...feature('a', { dependsOn: { './b': {} } }),
      ...feature('b', { dependsOn: { './a': {} } }),
    });
    await assert.rejects(stage(root, { './a': {} }), { code: 'environment.features', message: /ircular/ });
  });

  it('lead nowhere else, not by a name, a link, or a link on the way', async () => {
    const outside = repository(feature('secret'));
    const root = repository(feature('good'));
    const inside = join(root, '.devcontainer');
    symlinkSync(join(outside, '.devcontainer'), join(inside, 'way'));
    symlinkSync(join(outside, '.devcontainer/secret'), join(inside, 'link'));
    symlinkSync('/etc/passwd', join(inside, 'good/file'));
    const refusals: [string, RegExp][] = [
      ['./way/secret', /a link makes/],
      ['./link', /a link makes/],
      ['./good', /neither a file nor a folder/],
      ['../x', /not below the folder/],
      ['./good/../../x', /not below the folder/],
      [join(outside, '.devcontainer/secret'), /not below the folder/],
      ['./none', /is not there/],
    ];
    for (const [name, message] of refusals)
      await assert.rejects(stage(root, { [name]: {} }), { code: 'environment.features', message }, name);
    const depends = repository(feature('a', { dependsOn: { '../../x': {} } }));
    await assert.rejects(stage(depends, { './a': {} }), /not below the folder/);
    const linked = repository({});
    rmSync(join(linked, '.devcontainer'), { recursive: true });
    symlinkSync(join(outside, '.devcontainer'), join(linked, '.devcontainer'));
    await assert.rejects(stage(linked, { './secret': {} }), /a link makes/);
  });

  it('beside a file elsewhere, which a person named by hand, are that one’s', async () => {
    const elsewhere = repository(feature('mine'));
    const root = repository({});
    const place = join('..', elsewhere.split('/').at(-1)!, '.devcontainer/devcontainer.json');
    assert.deepEqual(installed((await stage(root, { './mine': {} }, place)).text), ['mine']);
  });
});

describe('an archive of a feature', () => {
  it('is not fetched over plain HTTP, whoever names it', async () => {
    const name = 'HTTP://127.0.0.1:9/devcontainer-feature-x.tgz';
    for (const [root, wanted] of [
      [repository({}), name],
      [repository(feature('own', { dependsOn: { [name]: {} } })), './own'],
    ] as const)
      await assert.rejects(stage(root, { [wanted]: {} }), {
        code: 'environment.features',
        message: /plain HTTP/,
      });
  });
});

const found = registryProgram();

describe('features of a registry', { skip: 'missing' in found && found.missing }, () => {
  let registry: RunningRegistry;
  before(async () => {
    registry = await startRegistry((found as { program: string }).program, join(top, 'registry'));
  });
  after(() => registry.stop());

  async function publish(id: string, tag: string, entries: Entry[], more: object = {}): Promise<void> {
    const layer = await makeTar([
      { name: 'devcontainer-feature.json', content: JSON.stringify({ id, version: '1.2.3', ...more }) },
      { name: 'install.sh', content: `echo installing ${id} ${tag}\n`, mode: 0o755 },
      ...entries,
    ]);
    const config = Buffer.from('{}');
    const part = (bytes: Buffer, mediaType: string) => ({
      mediaType,
      digest: digestOf(bytes),
      size: bytes.length,
    });
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: part(config, 'application/vnd.devcontainers'),
        layers: [part(layer, 'application/vnd.devcontainers.layer.v1+tar')],
      }),
    );
    const blobs = new Map([config, layer].map((bytes) => [digestOf(bytes), bytes]));
    await push(registry.url, `team/${id}`, tag, { manifest, digest: digestOf(manifest), blobs });
  }

  const local = () => registry.host.replace('127.0.0.1', 'localhost');

  it('are fetched, once, and stand beside those of the repository', async () => {
    await publish('tool', '1', []);
    const tool = { [`${local()}/team/tool:1`]: { option: "it's" } };
    const root = repository(feature('mine', { dependsOn: tool }));
    const wanted = { './mine': {} };
    const { text, contexts, told } = await stage(root, wanted);
    assert.deepEqual([installed(text), told.length], [['tool', 'mine'], 1], text);
    const content = contexts['dev_containers_feature_content_source']!;
    assert.match(readFileSync(join(content, 'tool_0/install.sh'), 'utf8'), /installing tool 1/);
    await publish('tool', '1', [{ name: 'more', content: 'x' }]);
    assert.equal((await stage(root, wanted)).told.length, 0);
    assert.equal((await stage(root, wanted, undefined, true)).told.length, 1);
  });

  it('that are not there are told of by name', async () => {
    await assert.rejects(stage(repository({}), { [`${local()}/team/none:1`]: {} }), {
      code: 'environment.features',
      message: /team\/none/,
    });
  });

  it('leave nothing outside of their folder, and links are only links', async () => {
    const mark = `warren-${createHash('sha256').update(top).digest('hex').slice(0, 12)}`;
    await publish('bad', '1', [
      { name: `../../../../../../../../tmp/${mark}`, content: 'x' },
      { name: 'link', type: 'symlink', linkname: '/etc/passwd' },
    ]);
    const staged = await stage(repository({}), { [`${local()}/team/bad:1`]: {} }).catch(() => null);
    assert.ok(!existsSync(join('/tmp', mark)));
    if (!staged) return;
    const folder = join(staged.contexts['dev_containers_feature_content_source']!, 'bad_0');
    const link = lstatSync(join(folder, 'link'), { throwIfNoEntry: false });
    assert.ok(!link || link.isSymbolicLink());
  });

  it('lead to no plain HTTP, which is not even asked', async () => {
    const asked = { first: 0, second: 0 };
    const serve = async (what: keyof typeof asked, location: () => string) => {
      const server = createServer((_, response) => {
        asked[what]++;
        response.writeHead(302, { location: location() }).end();
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      return { server, port: (server.address() as AddressInfo).port };
    };
    const second = await serve('second', () => '/');
    for (const to of [`http://127.0.0.1:${second.port}/v2/`, `http://localhost:${second.port}/other`]) {
      const first = await serve('first', () => to);
      await assert
        .rejects(stage(repository({}), { [`localhost:${first.port}/team/leads:1`]: {} }), {
          code: 'environment.features',
        })
        .finally(() => first.server.close());
    }
    second.server.close();
    assert.ok(asked.first > 0);
    assert.equal(asked.second, 0);
  });

  it('that are too much are refused: in bytes, in files, in one answer', async () => {
    await publish('large', '1', [{ name: 'zeros', content: Buffer.alloc(3 * 1024 ** 2) }]);
    await publish(
      'many',
      '1',
      Array.from({ length: 300 }, (_, nr) => ({ name: `file-${nr}`, content: '' })),
    );
    const refusals: [string, Partial<FeatureLimits>, RegExp][] = [
      ['large', { bytes: 1024 ** 2 }, /more than 1048576 bytes/],
      ['many', { entries: 200 }, /or 200 files/],
      ['large', { answerBytes: 1024 ** 2 }, /an answer is longer than 1048576 bytes/],
    ];
    for (const [id, limits, message] of refusals)
      await assert.rejects(
        stage(repository({}), { [`${local()}/team/${id}:1`]: {} }, undefined, false, limits),
        { code: 'environment.features', message },
        id,
      );
    for (const id of ['large', 'many'])
      assert.deepEqual(installed((await stage(repository({}), { [`${local()}/team/${id}:1`]: {} })).text), [
        id,
      ]);
  });
});
