// What a person gets wrong is answered with what, why and a remedy; exit code 2 for the command line, 1 else.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openWarren } from './harness.ts';

const warren = openWarren();

describe('bad input', { timeout: 900_000 }, () => {
  const cases: [args: string[], code: string, exit: number][] = [
    [['up', '/nowhere'], 'repo.', 1],
    [['run', '--no-repo', '--name', 'Not A Name', '--', 'true'], 'usage.', 2],
    [['run', '--no-repo', '--name', '-x', '--', 'true'], 'usage.', 2],
    [['run', '--no-repo', '--name', 'x'.repeat(200), '--', 'true'], 'usage.', 2],
    [['run', '--no-repo', '--cpus', '0', '--', 'true'], 'usage.size', 2],
    [['run', '--no-repo', '--memory', '999999999', '--', 'true'], 'usage.size', 2],
    [['run', '--no-repo', '--env', 'Dockerfile', '--', 'true'], 'usage.environment', 2],
    [['exec', 'nobody', '--', 'true'], 'sandbox.not-found', 1],
    [['show', 'nobody'], 'sandbox.not-found', 1],
    [['merge', 'nobody'], 'sandbox.not-found', 1],
    [['rm', 'nobody'], 'sandbox.not-found', 1],
    [['cp', 'nobody:/x', '.'], 'sandbox.not-found', 1],
    [['exec', '../../etc', '--', 'true'], 'sandbox.not-found', 1],
    [['template', 'rm', 'nothing'], 'template.', 1],
  ];
  for (const [args, code, exit] of cases) {
    it(`warren ${args.join(' ').slice(0, 60)}`, async () => {
      const ended = await warren.run(args);
      assert.equal(ended.code, exit, ended.stderr);
      assert.ok(ended.stderr.includes(`[${code}`), ended.stderr);
      assert.doesNotMatch(ended.stderr, /^\s+at .*:\d+:\d+/m);
      assert.equal(ended.stdout, '');
    });
  }

  it('commands and flags that do not exist', async () => {
    for (const args of [['upp'], ['up', '--nope'], ['exec'], ['run'], ['up', '--cpus', 'two']]) {
      const ended = await warren.run(args);
      assert.equal(ended.code, 2, `${args}: ${ended.stderr}`);
      assert.match(ended.stderr, /^error: cannot read the command/m);
    }
  });

  it('a folder that is no repository, and a spoiled warren.json', async () => {
    const folder = join(warren.home, 'plain');
    mkdirSync(folder);
    await warren.fails(['up'], 'repo.not-a-repository', { cwd: folder });
    warren.git(warren.home, 'clone', '-q', '--bare', warren.repository('source'), 'bare.git');
    const bare = await warren.fails(['up'], 'repo.bare', { cwd: join(warren.home, 'bare.git') });
    assert.match(bare.stderr, /try: /);
    const repository = warren.repository('spoiled');
    writeFileSync(join(repository, 'warren.json'), '{\n  "cpus": 1,\n  "memroy": 3\n}\n');
    const { stderr } = await warren.fails(['up', '--detach'], 'usage.settings', { cwd: repository });
    assert.match(stderr, /memroy/);
  });

  it('help begins with examples, and reads are JSON', async () => {
    for (const verb of ['up', 'run', 'merge', 'rm'])
      assert.match(await warren.ok([verb, '--help']), /^Examples:\n {2}warren /);
    assert.deepEqual(await warren.json(['ls']), []);
    assert.ok(Array.isArray(await warren.json(['doctor'])));
    assert.ok(Array.isArray(await warren.json(['template', 'ls'])));
  });
});
