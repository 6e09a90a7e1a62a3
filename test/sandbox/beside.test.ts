// What goes on at the same time: changes of one record, and what is removed while something is made of it.

import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { sandboxFiles } from '../../src/host/layout.ts';
import { StepLog } from '../../src/image/build/step-log.ts';
import { qemuDriver } from '../../src/machine/drivers/qemu/driver.ts';
import { Conductor } from '../../src/sandbox/conductor.ts';
import { prune } from '../../src/sandbox/prune/prune.ts';
import { reconcile } from '../../src/sandbox/reconcile.ts';
import { readRecord, type SandboxRecord, writeRecord } from '../../src/sandbox/record.ts';
import { Rooms } from '../../src/sandbox/rooms.ts';

// Of each conductor here its own.
delete process.env['WARREN_STORE'];
const top = mkdtempSync(join(tmpdir(), 'warren-beside-'));
after(() => rmSync(top, { recursive: true, force: true }));

let count = 0;
function conductorOf(): Conductor {
  const home = join(top, `home-${count++}`);
  const layout = { data: join(home, 'data'), runtime: join(home, 'run'), config: join(home, 'config') };
  return new Conductor(new Rooms({ layout, driver: qemuDriver(), agent: '/none', door: '/none' }));
}

const record: SandboxRecord = {
  version: 1,
  id: 'abcd1234',
  name: 'blue',
  state: 'running',
  createdAt: '2026-01-01T00:00:00.000Z',
  repository: null,
  image: 'image',
  template: '0123456789abcdef.01234567',
  accelerator: 'tcg',
  cpus: 1,
  memoryMib: 512,
  diskGib: 1,
  user: 'user',
  workdir: '/',
  machineId: '0'.repeat(32),
  machine: null,
  handback: null,
  left: null,
  note: null,
};

describe('changes of one record at the same time', () => {
  it('are all in it', async () => {
    const conductor = conductorOf();
    const sandbox = conductor.add(record, null);
    mkdirSync(conductor.files(sandbox).folder, { recursive: true });
    const setup = { state: 'failed', step: 'postCreateCommand: x', why: 'it is gone' } as const;
    await Promise.all([
      conductor.update(sandbox, { state: 'stopped' }, 'stopped'),
      conductor.update(sandbox, { setup }, 'lifecycle'),
      conductor.update(sandbox, { note: 'a note' }),
    ]);
    const stored = await readRecord(sandboxFiles(conductor.rooms.layout, record.id).state);
    for (const each of [sandbox.record, stored])
      assert.deepEqual([each.state, each.setup, each.note], ['stopped', setup, 'a note']);
  });

  it('go on after one that could not be written', async () => {
    const conductor = conductorOf();
    const sandbox = conductor.add(record, null);
    await assert.rejects(conductor.update(sandbox, { note: 'lost' }));
    mkdirSync(conductor.files(sandbox).folder, { recursive: true });
    await conductor.update(sandbox, { note: 'kept' });
    assert.equal(sandbox.record.note, 'kept');
  });
});

describe('a lifecycle whose daemon ended', () => {
  it('is told as failed by the next one', async () => {
    const conductor = conductorOf();
    const { layout } = conductor.rooms;
    mkdirSync(sandboxFiles(layout, record.id).folder, { recursive: true });
    await writeRecord(layout, {
      ...record,
      setup: { state: 'running', step: 'postCreateCommand: x', why: null },
    });
    await reconcile(conductor);
    const { setup, state } = conductor.get('blue').record;
    assert.deepEqual([state, setup?.state, setup?.why], ['crashed', 'failed', 'the daemon ended meanwhile']);
  });
});

describe('what is removed', () => {
  it('is not found from then on, though its files are still there', async () => {
    const { templates, rooms } = conductorOf();
    const folder = join(rooms.storeFolders.templates, record.template);
    mkdirSync(folder, { recursive: true });
    const removed = templates.remove(record.template);
    assert.ok(existsSync(folder));
    await assert.rejects(templates.get(record.template), { code: 'template.not-found' });
    await removed;
    assert.ok(!existsSync(folder));
    await assert.rejects(templates.remove('../kernels'), { code: 'template.not-found' });
  });

  it('is also what is spoiled: nothing of it is in the way', async () => {
    const conductor = conductorOf();
    const { storeFolders } = conductor.rooms;
    const spoiled = [
      join(storeFolders.images, 'spoiled/image.json'),
      join(storeFolders.references, 'spoiled.json'),
      join(storeFolders.steps, 'spoiled.json'),
      join(storeFolders.layers, 'some.tar'),
      join(storeFolders.templates, record.template, 'template.json'),
      join(storeFolders.features, 'key/environment.json'),
    ];
    for (const file of spoiled) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, '{');
    }
    const all = { all: true, olderThanMs: null, keepBytes: null, dryRun: false };
    const { templates, images, layers, caches } = await prune(conductor, all);
    assert.deepEqual([templates, images, layers], [[record.template], ['spoiled'], ['some.tar']]);
    assert.equal(caches.length, 1);
    for (const file of spoiled.filter((each) => !each.includes('references')))
      assert.ok(!existsSync(file), file);
  });

  it('is nothing while something is being made, or was since the question', async () => {
    const { images } = conductorOf().templates;
    const quiet = images.watch();
    assert.ok(quiet());
    const { promise, resolve } = Promise.withResolvers<void>();
    const making = images.counted(promise);
    const busy = images.watch();
    assert.deepEqual([quiet(), busy()], [false, false]);
    resolve();
    await making;
    assert.deepEqual([quiet(), busy(), images.watch()()], [false, false, true]);
  });
});

describe('a log that goes on', () => {
  it('has one limit for all who write it, and begins anew when it is full', async () => {
    const file = join(top, 'log');
    const write = async (line: string) => {
      const log = await StepLog.open(file, new Map(), () => {}, 'a');
      await log.say('stdout', Buffer.from(`${line}\n`));
      await log.close();
    };
    writeFileSync(file, 'first\n');
    await write('second');
    assert.equal(readFileSync(file, 'utf8'), 'first\nsecond\n');
    truncateSync(file, 64 * 1024 ** 2 - 10);
    await write('too long for what is left');
    assert.equal(readFileSync(file).length, 64 * 1024 ** 2 - 10);
    truncateSync(file, 64 * 1024 ** 2);
    await write('anew');
    assert.equal(readFileSync(file, 'utf8'), 'anew\n');
  });
});
