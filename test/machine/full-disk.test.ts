// News of a full disk that come late. QEMU holds back all but the first of a second (BLOCK_IO_ERROR, since 10.0): a machine
// that has been resumed since would be taken for one that stands still.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { identify } from '../../src/host/processes.ts';
import type { Control, Driver } from '../../src/machine/driver.ts';
import { Machine, type MachineRecord } from '../../src/machine/machine.ts';

describe('a VMM that tells of a full disk', () => {
  for (const [status, told] of [
    ['disk-full', 1],
    ['running', 0],
    ['paused', 0],
  ] as const)
    it(`is believed ${told} times when the machine is ${status}`, async () => {
      let tell = () => {};
      const control = {
        closed: new Promise<void>(() => {}),
        status: async () => status,
        onDiskFull: (listener: () => void) => {
          tell = listener;
        },
      } as unknown as Control;
      const record = { vmm: identify(process.pid)!, control: '' } as MachineRecord;
      const machine = await Machine.adopt({ control: async () => control } as unknown as Driver, record);
      let heard = 0;
      machine.on('diskFull', () => heard++);
      tell();
      await new Promise(setImmediate);
      assert.equal(heard, told);
    });
});
