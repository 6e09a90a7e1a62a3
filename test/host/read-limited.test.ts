// Files that a repository may have made something else of.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { readLimited } from '../../src/host/read-limited.ts';

const folder = mkdtempSync(join(tmpdir(), 'warren-read-'));
after(() => rmSync(folder, { recursive: true, force: true }));

describe('a file with a limit', () => {
  it('is read whole, up to its limit', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, 'abc');
    assert.equal(String(await readLimited(file, 3)), 'abc');
    await assert.rejects(readLimited(file, 2), /larger than 2 bytes/);
    writeFileSync(file, '');
    assert.equal((await readLimited(file, 2)).length, 0);
    await assert.rejects(readLimited(join(folder, 'none'), 2), { code: 'ENOENT' });
  });

  it('that says that it is empty and is not is held to it as well', async () => {
    assert.match(String(await readLimited('/proc/self/status', 65_536)), /^Name:/);
    await assert.rejects(readLimited('/proc/self/status', 10), /larger than 10 bytes/);
  });

  it('is no device, pipe or folder, whatever link leads there, and nothing is waited for', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    symlinkSync('pipe', join(folder, 'link'));
    for (const path of ['/dev/zero', join(folder, 'pipe'), join(folder, 'link'), folder])
      await assert.rejects(readLimited(path, 100), /it is no file/, path);
  });
});
