// What is left of work whose process was killed goes; what another is at stays.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, it } from 'node:test';

const temporary = mkdtempSync('/tmp/warren-work-test-');
after(() => rmSync(temporary, { recursive: true }));
process.env['TMPDIR'] = temporary;
const { makeWorkFolder, sweepWorkFolders } = await import('../../src/host/work-folder.ts');

it('folders of processes that are dead are swept once they are old', async () => {
  const { pid: dead } = spawnSync('true');
  const mine = await makeWorkFolder('template');
  const left = join(temporary, `warren-${dead}-template-aB3cxy`);
  const others = [
    'warren-1-template',
    `warren-${dead}-template`,
    `x-warren-${dead}-template-aB3cxy`,
    'warren-template-aB3cxy',
  ].map((name) => join(temporary, name));
  for (const folder of [left, ...others]) {
    mkdirSync(folder);
    writeFileSync(join(folder, 'file'), '');
  }
  await sweepWorkFolders();
  assert.ok(existsSync(left), 'it may be of a process that has another number here');
  await sweepWorkFolders(0);
  assert.equal(existsSync(left), false);
  for (const folder of [mine, ...others]) assert.ok(existsSync(folder), folder);
});
