// Which secrets a sandbox has, and what is on disk of them (SE 56, 59, 60).

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { SecretAddRequest } from '../../src/protocol/secret.ts';
import { SecretKeeper } from '../../src/sandbox/secrets.ts';

const CANARY = 'canary-5f1e-value';
const made: string[] = [];
after(() => Promise.all(made.map((folder) => rm(folder, { recursive: true }))));

async function keeper() {
  const folder = await mkdtemp(join(tmpdir(), 'warren-secrets-'));
  made.push(folder);
  await mkdir(join(folder, 'one'));
  await mkdir(join(folder, 'two'));
  const paths = {
    store: join(folder, 'config', 'secrets.json'),
    placeholders: (id: string) => join(folder, id, 'placeholders.json'),
  };
  return { folder, paths, open: () => new SecretKeeper(paths) };
}

const request = (over: Partial<SecretAddRequest> = {}): SecretAddRequest => ({
  name: 'GITHUB_TOKEN',
  path: null,
  hosts: ['api.github.com', 'github.com'],
  from: 'env:GH',
  value: CANARY,
  like: null,
  variable: null,
  query: false,
  body: false,
  ...over,
});
const ONE = { id: 'one', repository: { root: '/src/app' } };
const TWO = { id: 'two', repository: { root: '/src/other' } };

async function everythingUnder(folder: string): Promise<string> {
  let text = '';
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) text += await readFile(join(entry.parentPath, entry.name), 'latin1');
  return text;
}

describe('the secrets of a sandbox', () => {
  it('are its project’s and those for all; each sandbox has its own placeholders', async () => {
    const { open } = await keeper();
    const secrets = open();
    await secrets.add(request(), null);
    await secrets.add(
      request({ name: 'NPM', hosts: ['registry.npmjs.org'], variable: 'NODE_AUTH' }),
      '/src/app',
    );
    const [one, two] = [await secrets.bindingsFor(ONE), await secrets.bindingsFor(TWO)];
    assert.deepEqual(one.map(({ name }) => name).sort(), ['GITHUB_TOKEN', 'NPM']);
    assert.deepEqual(
      two.map(({ name }) => name),
      ['GITHUB_TOKEN'],
    );
    assert.deepEqual(two[0]!.source, { kind: 'value', value: CANARY });
    const mine = one.find(({ name }) => name === 'GITHUB_TOKEN')!.placeholder;
    assert.match(mine, /^ghp_[a-z2-7]{32}$/);
    assert.notEqual(mine, two[0]!.placeholder);
    const environment = await secrets.secretEnvironment(ONE);
    assert.deepEqual(Object.keys(environment).sort(), ['GITHUB_TOKEN', 'NODE_AUTH']);
    assert.equal(environment['GITHUB_TOKEN'], mine);
    assert.deepEqual(await secrets.gitCredentials(ONE), [{ host: 'github.com', variable: 'GITHUB_TOKEN' }]);
  });

  it('prefer the project’s of the same name', async () => {
    const { open } = await keeper();
    const secrets = open();
    await secrets.add(request(), null);
    await secrets.add(request({ from: null, value: 'own-value' }), '/src/app');
    const [binding, ...others] = await secrets.bindingsFor(ONE);
    assert.deepEqual([binding!.source, others], [{ kind: 'value', value: 'own-value' }, []]);
  });

  it('keep their placeholders over restarts, and lose their values', async () => {
    const { open } = await keeper();
    const before = open();
    await before.add(request(), null);
    const [first] = await before.bindingsFor(ONE);
    const after = open();
    const [second] = await after.bindingsFor(ONE);
    assert.equal(second!.placeholder, first!.placeholder);
    assert.equal(second!.source.kind, 'missing');
    assert.equal((await after.list())[0]!.known, false);
    assert.deepEqual(await after.wanted(), ['GH']);
    await after.tellValues({ GH: 'new', HOME: 'never asked for', __proto__: 'x' });
    assert.deepEqual((await after.bindingsFor(ONE))[0]!.source, { kind: 'value', value: 'new' });
  });

  it('asked for at once get one placeholder', async () => {
    const { open } = await keeper();
    const secrets = open();
    await secrets.add(request(), null);
    const all = await Promise.all([1, 2, 3].map(() => secrets.bindingsFor(ONE)));
    assert.equal(new Set(all.map(([binding]) => binding!.placeholder)).size, 1);
  });

  it('tell when they change; a removed one is gone (SE 59)', async () => {
    const { open } = await keeper();
    const secrets = open();
    const told: (string | null)[] = [];
    secrets.onChanged((root) => void told.push(root));
    assert.deepEqual(await secrets.add(request(), '/src/app'), { replaced: false });
    assert.deepEqual(await secrets.add(request(), '/src/app'), { replaced: true });
    await secrets.tellValues({ GH: CANARY });
    await secrets.tellValues({ GH: 'rotated' });
    await secrets.remove('GITHUB_TOKEN', '/src/app');
    assert.deepEqual(told, ['/src/app', '/src/app', null, '/src/app']);
    assert.deepEqual(await secrets.bindingsFor(ONE), []);
    await assert.rejects(secrets.remove('GITHUB_TOKEN', '/src/app'), { code: 'secret.not-found' });
  });

  it('are on disk without values, for their owner alone (SE 56)', async () => {
    const { folder, paths, open } = await keeper();
    const secrets = open();
    await secrets.add(request(), null);
    await secrets.add(request({ name: 'ASKED', from: null }), null);
    await secrets.bindingsFor(ONE);
    const text = await everythingUnder(folder);
    assert.match(text, /ghp_/);
    assert.ok(!text.includes(CANARY));
    assert.ok(!JSON.stringify(await secrets.list()).includes(CANARY));
    for (const file of [paths.store, paths.placeholders('one')])
      assert.equal((await stat(file)).mode & 0o777, 0o600);
  });

  it('are not guessed when a file is broken', async () => {
    const { paths, open } = await keeper();
    const secrets = open();
    await secrets.add(request(), null);
    await writeFile(paths.placeholders('one'), '{"version":1,"placeholders":{"a":"short"}}');
    await assert.rejects(secrets.bindingsFor(ONE), { code: 'secret.store-corrupt' });
    await writeFile(paths.store, '{');
    await assert.rejects(secrets.bindingsFor(TWO), { code: 'secret.store-corrupt' });
    await assert.rejects(secrets.add(request(), null), { code: 'secret.store-corrupt' });
  });

  const wrong: [string, Partial<SecretAddRequest>][] = [
    ['for every host (SE 60)', { hosts: ['*'] }],
    ['for no host', { hosts: [] }],
    ['for a public suffix', { hosts: ['*.co.uk'] }],
    ['for an address', { hosts: ['10.0.0.1'] }],
    ['with a name that is none', { name: 'A-B' }],
    ['with a variable that is none', { variable: 'A=B' }],
    ['from what is no source', { from: CANARY }],
    ['from a relative file', { from: 'file:token' }],
    ['like what needs escapes', { like: 'a b' }],
    ['with a line break in its value (SE 55)', { value: `${CANARY}\r\nX: y` }],
    ['with an empty value', { value: '' }],
  ];
  for (const [what, over] of wrong)
    it(`are refused ${what}, without telling a value`, async () => {
      const { paths, open } = await keeper();
      await assert.rejects(open().add(request(over), null), (error: Error & { code: string }) => {
        assert.equal(error.code, 'usage.secret');
        return !JSON.stringify(error).includes(CANARY);
      });
      await assert.rejects(stat(paths.store));
    });
});
