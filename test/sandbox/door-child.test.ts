// The daemon's end of a door process, with a small program in its place.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { DoorConfig } from '../../src/egress/door/messages.ts';
import { startDoor } from '../../src/sandbox/network/child.ts';

const folder = mkdtempSync(join(tmpdir(), 'warren-child-'));
after(() => rmSync(folder, { recursive: true }));

function program(name: string, text: string): string {
  const file = join(folder, `${name}.mjs`);
  writeFileSync(file, text);
  return file;
}

const config = { type: 'config' } as DoorConfig;
const ASKS = `process.on('message', () => { process.send({ type: 'ready' }); process.send({ type: 'ask' }); });`;

describe('a door process', () => {
  it('that is stopped has ended, and whoever waits for that is told', async () => {
    const file = program('stopped', `${ASKS} process.once('disconnect', () => process.exit(0));`);
    const child = startDoor(file, config, () => child.stop());
    assert.deepEqual(await child.ended, { served: true, said: '' });
  });

  it('that does not stop is ended', async () => {
    const file = program('stubborn', `${ASKS} setInterval(() => {}, 1000);`);
    const child = startDoor(file, config, () => child.stop());
    assert.deepEqual(await child.ended, { served: true, said: '' });
  });

  it('that is killed has served', async () => {
    const file = program('killed', ASKS);
    const child = startDoor(file, config, () => process.kill(child.pid, 'SIGKILL'));
    assert.equal((await child.ended).served, true);
  });

  it('that could not begin tells its last words', async () => {
    const file = program('broken', `console.error('no such key'); process.exit(1);`);
    assert.deepEqual(await startDoor(file, config, () => {}).ended, { served: false, said: 'no such key' });
  });

  it('that crashes leaves no core file: there are secrets in its memory (SE 57)', async () => {
    const cores = () => readdirSync('/').filter((name) => name.startsWith('core'));
    const before = cores();
    const file = program(
      'crashing',
      `process.on('message', () => { process.send({ type: 'ready' }); process.send({ type: 'ask' }); process.once('disconnect', () => {}); setInterval(() => {}, 1000); });`,
    );
    let limit = '';
    const child = startDoor(file, config, () => {
      limit = readFileSync(`/proc/${child.pid}/limits`, 'utf8');
      process.kill(child.pid, 'SIGABRT');
    });
    assert.equal((await child.ended).served, true);
    assert.match(limit, /^Max core file size +0 +0 /m);
    // Its working directory is /, where the kernel would have put it.
    assert.deepEqual(cores(), before);
  });
});
