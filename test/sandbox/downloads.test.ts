// Who may choose what is kept of downloads.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { downloadSettings } from '../../src/sandbox/network/downloads.ts';
import { decide, parseSettings } from '../../src/sandbox/settings.ts';

const home = mkdtempSync(join(tmpdir(), 'warren-downloads-'));
const before = process.env['XDG_CONFIG_HOME'];
after(() => {
  if (before === undefined) delete process.env['XDG_CONFIG_HOME'];
  else process.env['XDG_CONFIG_HOME'] = before;
  rmSync(home, { recursive: true, force: true });
});
const request = { environment: null, cpus: null, memoryMib: null, diskGib: null };

describe('downloads', () => {
  it('are the user’s to choose', async () => {
    process.env['XDG_CONFIG_HOME'] = home;
    assert.deepEqual(await downloadSettings('/d'), {
      folder: '/d',
      maxBytes: 10 * 1024 ** 3,
      registries: {},
    });
    mkdirSync(join(home, 'warren'));
    const write = (downloads: unknown) =>
      writeFileSync(join(home, 'warren/config.json'), JSON.stringify({ downloads }));
    const registries = { npm: ['http://host.warren.internal:4873/'] };
    write({ maxGib: 2, registries });
    assert.deepEqual(await downloadSettings('/d'), { folder: '/d', maxBytes: 2 * 1024 ** 3, registries });
    write({ keep: false });
    assert.equal(await downloadSettings('/d'), null);
    write({ registries: { npm: ['ftp://x'] } });
    assert.equal(await downloadSettings('/d'), null);
  });

  it('like how registries of images are reached, are not a repository’s to choose', () => {
    const plain = parseSettings('{ "registries": { "plainHttp": ["registry.lan:5000"] } }', 'warren.json');
    assert.throws(() => decide(request, plain, {}), { code: 'usage.settings', remedy: /registries/ });
    assert.ok(decide(request, {}, plain));
    const project = parseSettings('{ "downloads": { "maxGib": 1 } }', 'warren.json');
    assert.throws(() => decide(request, project, {}), { code: 'usage.settings' });
  });
});
