// A hand-back whose host process is killed at any moment: the user's repository stays good, what was left is swept
// by the next one, and that one succeeds.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { commitAll, fingerprint, sh, temporaryFolder, write } from './fixture.ts';
import { handBack, makePair, packOf } from './hostile.ts';

const program = fileURLToPath(new URL('kill-receive.ts', import.meta.url));

function large() {
  const pair = makePair();
  write(
    pair.guest,
    Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`f${n}`, randomBytes(20_000)])),
  );
  const tip = commitAll(pair.guest, 'large');
  return {
    ...pair,
    tip,
    pack: packOf(pair.guest, tip, [pair.base]),
    quarantineFolder: join(temporaryFolder(), 'q'),
  };
}

test('killed while the pack arrives', async () => {
  const { root, tip, base, pack, quarantineFolder } = large();
  const before = fingerprint(root);
  const child = spawn(process.execPath, [program, root, tip, base, quarantineFolder], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  child.stdin.on('error', () => {});
  child.stdin.write(pack.subarray(0, pack.length >> 1));
  while (!existsSync(quarantineFolder) || readdirSync(quarantineFolder).length === 0) await setTimeout(5);
  await setTimeout(50);
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('close', resolve));
  assert.equal(readdirSync(quarantineFolder).length, 1, 'the kill left something behind');
  assert.deepEqual(fingerprint(root), before);
  assert.equal((await handBack(root, { tip, base, pack, quarantineFolder })).commits, 1);
  assert.deepEqual(readdirSync(quarantineFolder), [], 'the next one swept it');
});

test('killed at any other moment', async () => {
  const { root, tip, base, pack, quarantineFolder } = large();
  const skip = (path: string) => path.startsWith('.git/objects') || path.startsWith('.git/refs/warren');
  const before = fingerprint(root, skip);
  let received = 0;
  // However long it takes here: sooner or later it is left alone for long enough.
  for (let delayMs = 100; received < 2 && delayMs < 60_000; delayMs *= 1.15) {
    const child = spawn(process.execPath, [program, root, tip, base, quarantineFolder], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk;
    });
    child.stdin.on('error', () => {});
    child.stdin.end(pack);
    const closed = new Promise((resolve) => child.once('close', resolve));
    await Promise.race([closed, setTimeout(delayMs)]);
    child.kill('SIGKILL');
    await closed;
    if (said.includes('received')) received++;
    assert.deepEqual(fingerprint(root, skip), before);
    const ref = sh(root, ['for-each-ref', '--format=%(objectname)', 'refs/warren']);
    assert.ok(ref === '' || ref === tip);
    sh(root, ['fsck', '--connectivity-only']);
  }
  assert.equal(received, 2, 'left alone it ends well');
  await handBack(root, { tip, base, pack, quarantineFolder });
  assert.deepEqual(readdirSync(quarantineFolder), []);
});

test('two at once in one folder do not sweep each other away', async () => {
  const { root, tip, base, pack, quarantineFolder } = large();
  const slow = new PassThrough();
  slow.write(pack.subarray(0, pack.length >> 1));
  const one = handBack(root, { tip, base, pack: slow, quarantineFolder, branch: 'one' });
  while (!existsSync(quarantineFolder) || readdirSync(quarantineFolder).length === 0) await setTimeout(5);
  const two = await handBack(root, { tip, base, pack, quarantineFolder, branch: 'two' });
  slow.end(pack.subarray(pack.length >> 1));
  assert.deepEqual([(await one).ref, two.ref], ['refs/warren/blue/one', 'refs/warren/blue/two']);
});
