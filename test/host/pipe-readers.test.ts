// Who reads what we write: the end of the last of them is noticed without a byte.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { after, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../egress/fake-guest.ts';

const children: ChildProcess[] = [];
after(() => {
  for (const { pid, exitCode } of children) if (pid && exitCode === null) process.kill(-pid, 'SIGKILL');
});
const PROGRAM = `
  const { whenReadersGo } = await import(${JSON.stringify(new URL('../../src/host/pipe-readers.ts', import.meta.url))});
  setInterval(() => {}, 1000);
  await whenReadersGo(1, new AbortController().signal, () => {
    process.stderr.write('left');
    process.exit(0);
  });
  process.stdout.write('first\\n');
`;

/** A shell with the program before `pipe`; what is said of it. The shell reads `input` as 3. */
function run(pipe: string): { said: () => string; input: Writable; ended: Promise<unknown> } {
  const child = spawn(
    'sh',
    [
      '-c',
      `"$0" --disable-warning=ExperimentalWarning --input-type=module -e "$1" ${pipe}`,
      process.execPath,
      PROGRAM,
    ],
    { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], detached: true },
  );
  children.push(child);
  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  return { said: () => said, input: child.stdio[3] as Writable, ended: once(child, 'close') };
}

it('a pipe whose reader has ended is left, also when another read on for it', {
  timeout: 60_000,
}, async () => {
  const { said, input, ended } = run(`| (read line; echo "read" >&2; sh -c 'read word <&3')`);
  await until(() => said().includes('read'));
  await sleep(1_000);
  assert.equal(said(), 'read\n', 'somebody still reads');
  input.end();
  await ended;
  assert.equal(said(), 'read\nleft');
});

it('a pipe is left whose reader has gone with the first line', { timeout: 60_000 }, async () => {
  const { said, ended } = run('| read line');
  await ended;
  assert.equal(said(), 'left');
});

it('what is no pipe is never left', async () => {
  const { said } = run('>/dev/null');
  await sleep(2_000);
  assert.equal(said(), '');
});
