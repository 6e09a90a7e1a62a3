import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { refuseOverCommit } from '../../src/sandbox/admission.ts';
import { next } from '../../src/sandbox/lifecycle.ts';
import { decide, parseSettings } from '../../src/sandbox/settings.ts';

describe('the lifecycle', () => {
  it('says already for what is so', () => {
    assert.equal(next('stop', 'stopped', 'x'), 'already');
    assert.equal(next('start', 'running', 'x'), 'already');
    assert.equal(next('pause', 'paused', 'x'), 'already');
  });

  it('names the command that helps', () => {
    assert.throws(() => next('use', 'stopped', 'demo'), {
      code: 'sandbox.wrong-state',
      remedy: 'warren start demo',
    });
    assert.throws(() => next('use', 'paused', 'demo'), { remedy: 'warren resume demo' });
    assert.throws(() => next('pause', 'crashed', 'demo'), { remedy: 'warren start demo' });
  });

  it('starts what crashed and removes from any state', () => {
    assert.equal(next('start', 'crashed', 'x'), 'running');
    for (const state of ['creating', 'running', 'paused', 'stopped', 'crashed', 'removing'] as const)
      assert.equal(next('remove', state, 'x'), 'removing');
  });
});

describe('admission', () => {
  it('lets twenty of the default size onto 23 GiB', () => {
    for (let running = 0; running < 20; running++) refuseOverCommit(1024, running * 1024, running, 23 * 1024);
  });

  it('refuses what does not fit, with the figures', () => {
    assert.throws(() => refuseOverCommit(65_536, 0, 0, 24_000), {
      code: 'sandbox.no-memory',
      message: /65536 MiB.*24000 MiB/,
    });
    assert.throws(() => refuseOverCommit(1024, 23_000, 20, 24_000), {
      code: 'sandbox.no-memory',
      message: /20 running/,
    });
  });
});

describe('settings', () => {
  const nothing = { environment: null, cpus: null, memoryMib: null, diskGib: null };

  it('go from flag to project to user to default', () => {
    assert.equal(decide({ ...nothing, memoryMib: 300 }, { memory: 400 }, { memory: 500 }).memoryMib, 300);
    assert.equal(decide(nothing, { memory: 400 }, { memory: 500 }).memoryMib, 400);
    assert.equal(decide(nothing, {}, { memory: 500 }).memoryMib, 500);
    assert.equal(decide(nothing, {}, {}).memoryMib, 1024);
  });

  it('refuse sizes that no machine can have', () => {
    for (const memoryMib of [0, 1, 255, -5, 1.5, Number.NaN, 2 ** 40])
      assert.throws(() => decide({ ...nothing, memoryMib }, {}, {}), { code: 'usage.size' });
    assert.throws(() => decide({ ...nothing, cpus: 0 }, {}, {}), { code: 'usage.size' });
  });

  it('may have comments and trailing commas', () => {
    assert.deepEqual(parseSettings('// sizes\n{ "memory": 2048, }', 'warren.json'), { memory: 2048 });
  });

  it('name the file and the line of a mistake', () => {
    assert.throws(() => parseSettings('{\n  "memory": ,\n}', 'warren.json'), {
      code: 'usage.settings',
      message: /warren\.json: line 2/,
    });
    assert.throws(() => parseSettings('{ "memroy": 1 }', 'warren.json'), {
      code: 'usage.settings',
      message: /memroy/,
    });
    assert.throws(() => parseSettings('{ "carry": "x" }', 'warren.json'), { code: 'usage.settings' });
  });
});
