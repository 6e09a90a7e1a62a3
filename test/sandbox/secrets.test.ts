// Which secrets a sandbox has, and what is on disk of them (SE 56, 59, 60).

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { secretRemedy, secretRow } from '../../src/cli/secret-lines.ts';
import type { SecretAddRequest } from '../../src/protocol/secret.ts';
import { projectRoot } from '../../src/sandbox/secret-scope.ts';
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
    assert.match(
      second!.source.kind === 'missing' ? second!.source.why : '',
      /export GH=…, then warren start NAME$/,
    );
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

  it('have a variable each, and none that programs live by', async () => {
    const { open } = await keeper();
    const secrets = open();
    for (const name of ['GIT_TOKEN', 'LD_SDK_KEY', 'PYTHON_INDEX_PASSWORD', 'NODE_AUTH_TOKEN', 'path'])
      await secrets.add(request({ name }), '/src/app');
    await assert.rejects(secrets.add(request({ name: 'HOME' }), null), {
      message: 'cannot add secret "HOME": programs of the guest live by $HOME',
      remedy: 'give it another variable: warren secret add HOME … --env-name HOME_TOKEN',
    });
    await assert.rejects(secrets.add(request({ name: 'NPM', variable: 'GIT_TOKEN' }), '/src/app'), {
      message: 'cannot add secret "NPM": $GIT_TOKEN stands for secret "GIT_TOKEN" already',
      remedy: 'give it another variable: warren secret add NPM … --env-name NPM_TOKEN',
    });
    // For all sandboxes it may be; in this project's, it stands for the project's own.
    await secrets.add(request({ name: 'NPM', variable: 'GIT_TOKEN' }), null);
    const own = (await secrets.bindingsFor(ONE)).find(({ name }) => name === 'GIT_TOKEN');
    assert.equal((await secrets.secretEnvironment(ONE))['GIT_TOKEN'], own!.placeholder);
  });

  it('are refused with words about what is wrong', async () => {
    const { folder, open } = await keeper();
    await assert.rejects(open().add(request({ variable: '1BAD' }), null), {
      message:
        'cannot add secret "GITHUB_TOKEN" with --env-name "1BAD": a variable has letters, digits and _, at most 64, and begins with no digit',
    });
    await assert.rejects(open().add(request({ hosts: ['*'] }), null), {
      remedy: 'name its host: warren secret add GITHUB_TOKEN --host api.example.com',
    });
    await assert.rejects(projectRoot(folder), {
      code: 'repo.not-a-repository',
      remedy: 'stand in the repository whose sandboxes are meant, or, for all sandboxes, say --global',
    });
  });

  it('that are listed tell all that was said, and what to do when a value is not known', async () => {
    const { open } = await keeper();
    const before = open();
    await before.add(request({ variable: 'GH', query: true }), null);
    await before.add(request({ name: 'ASKED', from: null, body: true }), '/src/app');
    const views = await open().list();
    assert.deepEqual(views.map(secretRow), [
      ['GITHUB_TOKEN', 'all sandboxes', 'api.github.com github.com', 'env:GH', 'GH', 'query', 'not known'],
      ['ASKED', '/src/app', 'api.github.com github.com', 'asked', 'ASKED', 'body', 'not known'],
    ]);
    assert.deepEqual(views.map(secretRemedy), [
      'the value of GITHUB_TOKEN is not known; try: export GH=…, then warren start NAME',
      "the value of ASKED is not known; try in /src/app: warren secret add ASKED --host 'api.github.com' --host 'github.com' --like ghp_ --body",
    ]);
    const known = await before.list();
    assert.deepEqual(known.map(secretRemedy), [null, null]);
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
    ['with the variable in which commands are found', { name: 'PATH' }],
    ['with a variable of the loader', { variable: 'LD_PRELOAD' }],
    ['with a variable of Node', { variable: 'NODE_OPTIONS' }],
    ['with a variable of the locale', { variable: 'LC_ALL' }],
    ['with a variable of git', { variable: 'GIT_ASKPASS' }],
    ['with a variable of Python', { variable: 'PYTHONPATH' }],
    ['with a variable of proxies', { variable: 'https_proxy' }],
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
