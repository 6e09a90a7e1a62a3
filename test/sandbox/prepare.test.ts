// What decides whether something is prepared again.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { chooseInputs, digestInputs } from '../../src/sandbox/prepare/inputs.ts';
import {
  type Circumstances,
  joined,
  preparationDigest,
  preparationOf,
  preparedOf,
} from '../../src/sandbox/prepare/preparation.ts';

const folder = mkdtempSync(join(tmpdir(), 'warren-prepare-'));
after(() => rmSync(folder, { recursive: true, force: true }));

describe('what decides', () => {
  const tracked = [
    'a.js',
    'package.json',
    'web/package-lock.json',
    'web/x.txt',
    'requirements-dev.txt',
    'scripts/set up.sh',
    'scripts/setup.sh',
  ];

  it('is what package managers read, in any folder, unless it is said', () => {
    assert.deepEqual(chooseInputs(tracked, null, ['npm ci']), [
      'package.json',
      'web/package-lock.json',
      'requirements-dev.txt',
    ]);
    assert.deepEqual(chooseInputs(tracked, ['web/**', '!web/x.txt'], ['npm ci']), ['web/package-lock.json']);
    assert.deepEqual(chooseInputs(tracked, ['*.js'], []), ['a.js']);
    assert.deepEqual(chooseInputs(tracked, [], []), []);
  });

  it('is also what a command names', () => {
    assert.deepEqual(chooseInputs(tracked, [], ['./scripts/setup.sh --fast && cat "a.js"']), [
      'a.js',
      'scripts/setup.sh',
    ]);
    assert.deepEqual(chooseInputs(tracked, [], ['FILE=web/x.txt sh -c "true"']), ['web/x.txt']);
  });

  it('is bounded', () => {
    const many = Array.from({ length: 10_001 }, (_, nr) => `p${nr}/package.json`);
    assert.throws(() => chooseInputs(many, null, []), { code: 'usage.settings' });
    assert.throws(() => chooseInputs(tracked, ['[a-'], []), { code: 'environment.dockerignore' });
  });

  it('is the content, not the time; a link by where it leads', async () => {
    writeFileSync(join(folder, 'a'), 'one');
    symlinkSync('a', join(folder, 'link'));
    const rows = await digestInputs(folder, ['a', 'link', 'gone', '.']);
    assert.deepEqual(
      rows.map(([path]) => path),
      ['a', 'link', 'gone', '.'],
    );
    assert.equal(rows[2]![1], null);
    assert.equal(rows[3]![1], 'no file');
    assert.notEqual(rows[0]![1], rows[1]![1]);
    writeFileSync(join(folder, 'a'), 'one');
    assert.deepEqual(await digestInputs(folder, ['a', 'link', 'gone', '.']), rows);
    writeFileSync(join(folder, 'a'), 'two');
    assert.notDeepEqual(await digestInputs(folder, ['a']), [rows[0]]);
  });
});

describe('a preparation', () => {
  const around: Circumstances = {
    root: '/r',
    guestPath: '/workspaces/r',
    workdir: '/workspaces/r',
    user: 'user',
    identity: null,
    carry: [],
    inputs: [['package.json', 'abc']],
  };
  const one = preparationOf('npm ci');

  it('is another one when anything of it is', () => {
    const digests = [
      preparationDigest(one, around),
      preparationDigest(preparationOf('npm i'), around),
      preparationDigest({ ...one, env: { A: '1' } }, around),
      preparationDigest(one, { ...around, root: '/s' }),
      preparationDigest(one, { ...around, user: 'root' }),
      preparationDigest({ ...one, boot: { folders: [], script: 'x' } }, around),
      preparationDigest(one, { ...around, workdir: '/' }),
      preparationDigest(one, { ...around, identity: { name: 'a', email: 'b' } }),
      preparationDigest(one, { ...around, carry: ['.env'] }),
      preparationDigest(one, { ...around, inputs: [['package.json', null]] }),
    ];
    assert.equal(new Set(digests).size, digests.length);
    assert.equal(preparationDigest(preparationOf({ run: 'npm ci', timeout: 5 }), around), digests[0]);
    const ordered = { ...one, env: { B: '2', A: '1' } };
    assert.equal(
      preparationDigest(ordered, around),
      preparationDigest({ ...one, env: { A: '1', B: '2' } }, around),
    );
  });

  it('of two files has the steps of both', () => {
    const two = preparationOf({ run: ['a', 'b'], inputs: ['x'], timeout: 5 });
    const both = joined({ ...one, boot: { folders: [], script: 'mount' }, env: { A: '1' } }, two);
    assert.deepEqual(
      both?.steps.map(({ script }) => script),
      ['npm ci', 'a', 'b'],
    );
    assert.deepEqual(
      [both?.boot, both?.env, both?.inputs, both?.timeoutMs],
      [{ folders: [], script: 'mount' }, { A: '1' }, ['x'], 3_600_000],
    );
    assert.equal(joined(null, two), two);
    assert.equal(joined(one, null), one);
  });

  it('is known again from its template’s record only when it is whole', () => {
    const whole = {
      from: 'warren.json',
      root: '/r',
      commands: [],
      inputs: [],
      repositories: [{ path: '', head: null, shallow: [] }],
      durationMs: 1,
    };
    assert.deepEqual(preparedOf({ prepared: whole }), whole);
    for (const prepared of [undefined, null, 'x', {}, { ...whole, repositories: [] }])
      assert.equal(preparedOf({ prepared }), undefined);
  });
});
