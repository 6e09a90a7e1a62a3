// What a person is asked on a terminal: whether to trust what a repository asks for, and what no rule allows.

import assert from 'node:assert/strict';
import { before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { READ_MS } from '../../src/cli/asking.ts';
import type { PolicyView } from '../../src/protocol/policy.ts';
import { openWarren, removeAfter } from './harness.ts';
import { openTerminal } from './terminal.ts';

const warren = openWarren();
const terminal = (t: TestContext, args: string[], cwd?: string) => {
  const opened = openTerminal(warren, args, cwd);
  t.after(() => opened.close());
  return opened;
};
const rulesOf = async (name: string) =>
  (await warren.json<PolicyView>(['policy', 'show', name])).rules
    .map(({ id }) => id)
    .filter((id) => /^(?:sandbox|answer):/.test(id));

/** As whoever reads a question first. */
const answer = async (type: (...keys: string[]) => void, ...keys: string[]) => {
  await sleep(READ_MS);
  type(...keys);
};

// On a new computer it takes longer than a screen is waited for.
before(async () => {
  await warren.ok(['template', 'build']);
});

describe('on a terminal', { timeout: 900_000 }, () => {
  it('`up` asks whether to trust warren.json, and its shell shows what is asked for', async (t) => {
    removeAfter(t, warren, 'asked');
    const repository = warren.repository('asked', {
      'warren.json': '{ "egress": { "allow": ["a.example"] } }',
    });
    const { type, shows } = terminal(t, ['up'], repository);
    await shows(/warren\.json asks for this network:[\s\S]*"a\.example"[\s\S]*trust it\?/);
    type('y');
    await shows(/trusted, as long as it stays as it is/);
    await shows(/user@asked:/);
    type('clear; curl -sS https://no.example/', 'Enter');
    await shows(/\[warren\] no\.example:443 \(https\) is asked for/);
    await answer(type, 'C-p', 'n');
    await shows(/Warren: .*no\.example.*no rule allows it/);
    type('clear; curl -sS http://yes.invalid/', 'Enter');
    await shows(/\[warren\] yes\.invalid:80 \(http\) is asked for/);
    await answer(type, 'C-p', 'p');
    await shows(/yes\.invalid could not be resolved/);
    assert.deepEqual(await rulesOf('asked'), ['answer:allow[0]:yes.invalid']);
    // "Once" is for this connection alone: the next one is asked for again.
    for (const [key, told] of [
      ['o', /once\.invalid could not be resolved/],
      ['n', /Warren: .*once\.invalid.*no rule allows it/],
    ] as const) {
      type('clear', 'Enter');
      await shows(/^user@asked:[^\n]*\s*$/);
      type('curl -sS http://once.invalid/', 'Enter');
      await shows(/\[warren\] once\.invalid:80 \(http\) is asked for/);
      await answer(type, 'C-p', key);
      await shows(told);
    }
    assert.deepEqual(await rulesOf('asked'), ['answer:allow[0]:yes.invalid']);
    // "This project" is for its other sandboxes too.
    removeAfter(t, warren, 'beside');
    await warren.ok(['up', '--detach', '--name', 'beside'], { cwd: repository });
    assert.deepEqual(await rulesOf('beside'), ['answer:allow[0]:yes.invalid']);
    // Without a question, the keys are the shell's: the line before comes back.
    type('clear', 'Enter');
    type('echo once', 'Enter');
    await shows(/^once$/m);
    type('clear', 'Enter');
    type('C-p', 'C-p', 'Enter');
    await shows(/^once$/m);
  });

  it('`policy watch` asks, and `never` becomes a rule', async (t) => {
    removeAfter(t, warren, 'seen');
    await warren.ok(['up', '--detach', '--name', 'seen'], { cwd: warren.repository('seen') });
    const { type, shows, screen } = terminal(t, ['policy', 'watch', 'seen']);
    await shows(/is shown here; Ctrl-C ends/);
    const curl = warren.ok(['exec', 'seen', '--', 'curl', '-sS', 'https://bad.example/']);
    await shows(/bad\.example:443 \(https\) is asked for[\s\S]*n no, v never/);
    const audit = terminal(t, ['audit', 'seen', '--follow', '--denied']);
    await answer(type, 'v');
    assert.match(await curl, /bad\.example/);
    assert.deepEqual(await rulesOf('seen'), ['sandbox:deny[0]:bad.example']);
    await audit.shows(/deny {2}GET https:\/\/bad\.example/);
    // Keys that nothing asks for are not shown.
    type('nnn');
    // Who asked has gone before an answer: that is told, and a late one is for the next time.
    const left = warren.run(['exec', 'seen', '--', 'curl', '-sS', 'https://left.example/']);
    await shows(/left\.example:443 \(https\) is asked for/);
    await warren.ok(['exec', 'seen', '--', 'pkill', '-x', 'curl']);
    await left;
    await shows(/nobody waits for left\.example:443 any more/);
    await shows(/s, p or v still make a rule: *$/m);
    type('s');
    await shows(/too late for this request; from now on left\.example:443 is\s+allowed, for this sandbox/);
    assert.deepEqual(await rulesOf('seen'), ['sandbox:deny[0]:bad.example', 'sandbox:allow[0]:left.example']);
    assert.doesNotMatch(screen(), /nnn/);
    type('C-c');
    await shows(/left with 0/);
    await warren.ok(['exec', 'seen', '--', 'curl', '-sS', 'https://later.example/']);
    await audit.shows(/deny {2}GET https:\/\/later\.example/);
    audit.type('C-c');
    await audit.shows(/left with/);
  });
});
