// A machine whose memory found no room. That a disk is full, and when a VMM is gone, is forced here; a real one is filled
// in test/vm/computer.test.ts and dockerfile-failures.test.ts.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { endedByFullDisk } from '../../src/machine/out-of-room.ts';

const full = async () => 3;

describe('a machine on a full disk', () => {
  it('was ended by it, also when its VMM is there for a moment more', async () => {
    assert.equal(await endedByFullDisk({ alive: false }, '/', full), true);
    const machine = { alive: true };
    setTimeout(() => {
      machine.alive = false;
    }, 200);
    assert.equal(await endedByFullDisk(machine, '/', full), true);
  });

  it('ended for another reason where there is room, and that is known at once', async () => {
    let looks = 0;
    const roomy = async () => {
      looks += 1;
      return 5000;
    };
    assert.equal(await endedByFullDisk({ alive: false }, '/', roomy), false);
    assert.equal(await endedByFullDisk({ alive: true }, '/', roomy), false);
    assert.equal(looks, 2);
  });

  it('was not ended when it is still there, or when room has come back', async () => {
    const free = [3, 3, 5000];
    assert.equal(await endedByFullDisk({ alive: true }, '/', async () => free.shift()!), false);
    assert.equal(await endedByFullDisk({ alive: true }, '/', full), false);
  });
});
