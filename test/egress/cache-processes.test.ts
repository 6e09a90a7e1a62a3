// Several doors write into one folder of downloads, one of them dies in the middle of it, and the disk is full.

import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { openCache } from '../../src/egress/cache/cache.ts';
import { newFolder } from './cache-door.ts';
import { bodyOf, considered } from './cache-request.ts';
import { until } from './fake-guest.ts';

const run = promisify(execFile);
const WRITER = join(import.meta.dirname, 'cache-writer.ts');
const inside = (folder: string) => globSync(join(folder, '*/{.*,*}'));

function writer(folder: string, length: number, come: number, addresses: number) {
  return [process.execPath, WRITER, folder, String(length), String(come), String(addresses)];
}

describe('downloads of several processes', () => {
  it('are whole for each of them at every moment', async () => {
    const [folder, length, addresses] = [newFolder(), 300_000, 40];
    const [node, ...args] = writer(folder, length, length, addresses);
    const writers = [1, 2, 3].map(() => run(node!, args));
    const cache = await openCache({ folder });
    let running = true;
    const done = Promise.all(writers).finally(() => {
      running = false;
    });
    let found = 0;
    while (running) {
      for (let nr = 0; nr < addresses; nr++) {
        const answer = await cache.consider(considered(nr))!.find();
        if (!answer) continue;
        assert.ok((await buffer(answer.body as Readable)).equals(bodyOf(nr, length)));
        found += 1;
      }
    }
    for (const { stdout } of await done) assert.equal(stdout, 'kept\n'.repeat(addresses));
    assert.ok(found > 0);
    assert.equal(inside(folder).length, addresses);
  });

  it('are not there when their writer was killed, and what it left goes', async () => {
    const folder = newFolder();
    const [node, ...args] = writer(folder, 3_000_000, 2_000_000, 1);
    const child = spawn(node!, args, { stdio: 'ignore' });
    await until(() => inside(folder).length > 0);
    const alive = await openCache({ folder });
    assert.equal(inside(folder).length, 1, 'what a living process writes stays');
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(await alive.consider(considered(0))!.find(), null);
    await openCache({ folder });
    assert.deepEqual(inside(folder), []);
  });

  const refused = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status !== 0;
  it('pass whole when the disk is full', {
    skip: refused && 'no file system may be mounted here',
  }, async () => {
    const folder = join(newFolder(), 'small');
    mkdirSync(folder);
    const script = 'mount -t tmpfs -o size=400k none "$0" && "$@" && ls -A "$0"/*';
    const { stdout } = await run('unshare', [
      '-rm',
      'sh',
      '-c',
      script,
      folder,
      ...writer(folder, 3e5, 3e5, 3),
    ]);
    assert.match(stdout, /^kept\nnot kept\nnot kept\n/);
    assert.ok(!stdout.includes('.tmp-'));
  });
});
