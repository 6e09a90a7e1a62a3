// Secrets stay at home, and files that are named travel though git does not track them.

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openRepository, packIn } from '../../src/repo/index.ts';
import { makeRepository, sh, temporaryFolder, worktree, write } from './fixture.ts';
import { type Guest, guestMissing, startGuest, user } from './guest.ts';
import { status, travel } from './travel.ts';

const missing = guestMissing();
let guest: Guest;
before(async () => {
  if (!missing) guest = await startGuest();
});
after(() => guest?.stop());

describe('what git does not track', { skip: missing ?? false }, () => {
  test('secrets stay: untracked, ignored, staged, and changes to tracked ones', async () => {
    const root = makeRepository({
      '.gitignore': '.env.local\nnode_modules/\n',
      '.env': 'COMMITTED=1\n',
      '.env.example': 'A=\n',
      f: '1',
    });
    write(root, {
      '.env': 'SECRET=1\n',
      '.env.local': 'SECRET=2\n',
      'sub/.env': 'SECRET=3\n',
      'prod.env': 'SECRET=4\n',
      '.env.example': 'B=\n',
      'node_modules/x/index.js': '1',
      'notes.md': 'untracked',
    });
    sh(root, ['add', '-N', 'prod.env']);
    sh(root, ['add', 'sub/.env']);
    const { guestPath, packed } = await travel(guest, root);
    assert.equal(readFileSync(join(guestPath, '.env'), 'utf8'), 'COMMITTED=1\n');
    assert.equal(readFileSync(join(guestPath, '.env.example'), 'utf8'), 'B=\n');
    assert.deepEqual(Object.keys(worktree(guestPath)).sort(), ['.env', '.env.example', '.gitignore', 'f']);
    assert.equal(packed.withheld.env.join(), '.env.local,prod.env,sub/.env');
    assert.deepEqual([packed.withheld.untracked, packed.withheld.untrackedTotal], [['notes.md'], 1]);
    assert.equal(packed.withheld.ignoredTotal, 1, 'a folder counts once, a secret is named elsewhere');
    assert.match(packed.withheld.notices.join(), /"\.env" is tracked by git/);
    const all = sh(guestPath, ['rev-list', '--objects', '--all', '--no-object-names']);
    const packs = sh(guestPath, ['cat-file', '--batch-all-objects', '--batch-check=%(objectname)'])
      .split('\n')
      .sort();
    const index = sh(guestPath, ['write-tree']);
    const changed = sh(guestPath, ['rev-parse', 'HEAD']);
    assert.ok(all.includes(changed) && index.length === 40);
    for (const id of packs) {
      const type = sh(guestPath, ['cat-file', '-t', id]);
      if (type === 'blob') assert.doesNotMatch(sh(guestPath, ['cat-file', 'blob', id]), /SECRET/);
    }
  });

  test('carried files travel, also a tracked secret', async () => {
    const root = makeRepository({ '.gitignore': '*.key\n.env.local\n', '.env': 'OLD=1\n' });
    write(root, {
      '.env': 'NEW=1\n',
      '.env.local': 'L=1\n',
      'certs/deep/dev.key': 'KEY',
      'empty.key': '',
      'long.key': 'x'.repeat(100_000),
    });
    chmodSync(join(root, 'certs/deep/dev.key'), 0o700);
    const name = `${'d'.repeat(120)}/${'ü'.repeat(50)}.key`;
    write(root, { [name]: 'long name' });
    const carry = ['.env', './.env.local', 'certs//deep/dev.key', 'empty.key', 'long.key', name];
    const { guestPath, packed } = await travel(guest, root, carry);
    assert.equal(readFileSync(join(guestPath, '.env'), 'utf8'), 'NEW=1\n');
    assert.equal(readFileSync(join(guestPath, '.env.local'), 'utf8'), 'L=1\n');
    assert.equal(readFileSync(join(guestPath, 'certs/deep/dev.key'), 'utf8'), 'KEY');
    assert.equal(statSync(join(guestPath, 'certs/deep/dev.key')).mode & 0o777, 0o700);
    assert.equal(readFileSync(join(guestPath, 'empty.key'), 'utf8'), '');
    assert.equal(statSync(join(guestPath, 'long.key')).size, 100_000);
    assert.equal(readFileSync(join(guestPath, name), 'utf8'), 'long name');
    assert.deepEqual(packed.withheld.env, []);
    assert.deepEqual(packed.withheld.notices, []);
    assert.deepEqual(status(guestPath), [' M .env']);
  });

  test('carry refuses what is missing, outside, linked, or not a file', async () => {
    const root = makeRepository();
    symlinkSync('/etc/passwd', join(root, 'link'));
    symlinkSync('/etc', join(root, 'dirlink'));
    mkdirSync(join(root, 'folder'));
    const repository = await openRepository(root);
    const cases: [string, string][] = [
      ['nope', 'repo.carry-missing'],
      ['folder', 'repo.carry-not-a-file'],
      ['link', 'repo.carry-outside'],
      ['dirlink/passwd', 'repo.carry-outside'],
      ['../x', 'repo.carry-outside'],
      ['src/../../x', 'repo.carry-outside'],
      ['/etc/passwd', 'repo.carry-outside'],
      ['.git/config', 'repo.carry-outside'],
      ['', 'repo.carry-outside'],
      ['a\0b', 'repo.carry-outside'],
    ];
    for (const [entry, code] of cases) {
      const transferFolder = temporaryFolder();
      const packing = packIn(repository, {
        branch: 'b',
        guestPath: '/x',
        carry: [entry],
        transferFolder,
      });
      await assert.rejects(packing, { code }, entry);
    }
  });

  test('a carried file that grows while it is packed ends the stream with an error', async () => {
    const root = makeRepository();
    write(root, { secret: 'short' });
    const repository = await openRepository(root);
    const packed = await packIn(repository, {
      branch: 'b',
      guestPath: '/x',
      carry: ['secret'],
      transferFolder: temporaryFolder(),
    });
    write(root, { secret: 'longer than it was' });
    await assert.rejects(async () => {
      for await (const _ of packed.stream(user));
    }, /changed while it was packed/);
  });
});
