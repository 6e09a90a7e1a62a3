// Which environment a repository gets, and that what it names is its own.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { findEnvironment } from '../../src/sandbox/find-environment.ts';

const top = realpathSync(mkdtempSync(join(tmpdir(), 'warren-find-')));
after(() => rmSync(top, { recursive: true, force: true }));
process.env['XDG_CONFIG_HOME'] = join(top, 'config');

let count = 0;
function repository(files: Record<string, unknown>) {
  const root = join(top, `repository-${count++}`);
  for (const [path, said] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), typeof said === 'string' ? said : JSON.stringify(said));
  }
  return { root, name: 'app' };
}

const outside = repository({ 'home/.ssh/id': 'key', 'home/.ssh/Dockerfile': 'FROM scratch\nCOPY . /' });
const find = (found: { root: string; name: string }, environment: string | null = null) =>
  findEnvironment(found, { environment });

describe('the environment of a repository', () => {
  it('is what warren.json says, else its devcontainer.json', async () => {
    const files = { '.devcontainer/devcontainer.json': { image: 'debian:12' } };
    assert.equal((await find(repository(files))).from, '.devcontainer/devcontainer.json');
    const both = repository({ ...files, 'warren.json': { environment: './Dockerfile' }, Dockerfile: '' });
    const { from, environment } = await find(both);
    assert.deepEqual([from, environment.kind], ['warren.json', 'dockerfile']);
    assert.equal((await find(both, join(both.root, '.devcontainer/devcontainer.json'))).from, '--env');
    assert.equal((await find(repository({}))).environment.kind, 'default');
  });

  it('leads out of it by no link, wherever on the way it is', async () => {
    for (const build of [
      { dockerfile: 'Dockerfile', context: 'out/.ssh' },
      { dockerfile: 'out/.ssh/Dockerfile' },
      { dockerfile: 'Dockerfile', context: 'key' },
    ]) {
      const linked = repository({ '.devcontainer.json': { build }, Dockerfile: 'FROM scratch' });
      symlinkSync(join(outside.root, 'home'), join(linked.root, 'out'));
      symlinkSync(join(outside.root, 'home/.ssh'), join(linked.root, 'key'));
      await assert.rejects(find(linked), { code: 'environment.devcontainer', message: /a link makes/ });
      writeFileSync(join(linked.root, 'warren.json'), JSON.stringify({ environment: build }));
      await assert.rejects(find(linked), { code: 'usage.settings', message: /a link makes/ });
    }
    const archive = repository({ 'warren.json': { environment: './out/id' } });
    symlinkSync(join(outside.root, 'home/.ssh'), join(archive.root, 'out'));
    await assert.rejects(find(archive), { code: 'usage.settings' });
    const within = repository({
      '.devcontainer.json': { build: { dockerfile: 'link/Dockerfile' } },
      'real/Dockerfile': '',
    });
    symlinkSync('real', join(within.root, 'link'));
    assert.equal((await find(within)).environment.kind, 'dockerfile');
  });

  it('is not read when it is too large to be one', async () => {
    const large = repository({ '.devcontainer.json': ' '.repeat(2 * 1024 ** 2) });
    await assert.rejects(find(large), { code: 'environment.devcontainer', message: /larger than/ });
  });

  it('is not read for ever where a link makes it a device', async () => {
    const named = repository({ 'warren.json': { environment: './x/devcontainer.json' }, 'x/y': '' });
    symlinkSync('/dev/zero', join(named.root, 'x/devcontainer.json'));
    await assert.rejects(find(named), { code: 'environment.devcontainer', message: /it is no file/ });
    const settings = repository({});
    mkdirSync(settings.root);
    symlinkSync('/dev/zero', join(settings.root, 'warren.json'));
    await assert.rejects(find(settings), { code: 'usage.settings', message: /it is no file/ });
  });
});
