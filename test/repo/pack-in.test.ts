// Every state that a user's repository can be in arrives in the guest as it was, and what stays is told.

import assert from 'node:assert/strict';
import {
  chmodSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openRepository, packIn } from '../../src/repo/index.ts';
import {
  commitAll,
  fingerprint,
  makeRepository,
  sh,
  temporaryFolder,
  testHome,
  worktree,
  write,
} from './fixture.ts';
import { type Guest, guestMissing, startGuest, user } from './guest.ts';
import { status, travel } from './travel.ts';

const missing = guestMissing();
let guest: Guest;
before(async () => {
  if (!missing) guest = await startGuest();
});
after(() => guest?.stop());

describe('packIn and clone', { skip: missing ?? false }, () => {
  test('staged, unstaged and both at once', async () => {
    const root = makeRepository({
      staged: '1',
      unstaged: '1',
      both: '1',
      removed: '1',
      gone: '1',
      same: '1',
    });
    write(root, { staged: '2', both: '2', added: '1' });
    sh(root, ['add', 'staged', 'both', 'added']);
    sh(root, ['rm', '-q', 'removed']);
    write(root, { unstaged: '2', both: '3' });
    rmSync(join(root, 'gone'));
    const { guestPath, packed } = await travel(guest, root);
    assert.deepEqual(status(guestPath), status(root));
    assert.deepEqual(worktree(guestPath), worktree(root));
    assert.deepEqual(packed.withheld.notices, []);
  });

  test('modes, symlinks, type changes, empty files and strange names', async () => {
    const root = makeRepository({
      'run.sh': '#!/bin/sh\n',
      plain: 'x',
      'sp ace/ü/\n\t"q"': 'odd',
      emptyfile: '',
      'becomes-link': 'x',
    });
    symlinkSync('run.sh', join(root, 'link'));
    symlinkSync('/nonexistent/away', join(root, 'dangling'));
    commitAll(root, 'links');
    chmodSync(join(root, 'run.sh'), 0o755);
    rmSync(join(root, 'becomes-link'));
    symlinkSync('plain', join(root, 'becomes-link'));
    const { guestPath } = await travel(guest, root);
    assert.deepEqual(status(guestPath), status(root));
    assert.deepEqual(worktree(guestPath), worktree(root));
  });

  test('the path itself may hold spaces, quotes, colons and newlines', async () => {
    const root = makeRepository({ a: '1' }, [], 'we "ird": pä\\th\nname');
    write(root, { a: '2' });
    const { guestPath, repository } = await travel(guest, root);
    assert.match(repository.name, /^[A-Za-z0-9._-]+$/);
    assert.deepEqual(status(guestPath), [' M a']);
  });

  test('no commits yet: with and without files in the index', async () => {
    const bare = await travel(guest, makeRepository({}));
    assert.deepEqual(status(bare.guestPath), []);
    const root = makeRepository({});
    write(root, { a: '1', b: '1' });
    sh(root, ['add', 'a', 'b']);
    write(root, { b: '2' });
    const { guestPath } = await travel(guest, root);
    assert.deepEqual(status(guestPath), status(root));
    assert.deepEqual(worktree(guestPath), worktree(root));
  });

  test('detached HEAD, SHA-256, tags and other branches stay home', async () => {
    const root = makeRepository({ a: '1' }, ['--object-format=sha256']);
    commitAll(root, 'second');
    sh(root, ['tag', 'v1']);
    sh(root, ['checkout', '-q', '--detach', 'HEAD~1']);
    write(root, { a: '2' });
    const { guestPath, repository } = await travel(guest, root);
    assert.equal(repository.branch, null);
    assert.equal(repository.head?.length, 64);
    assert.deepEqual(status(guestPath), [' M a']);
    assert.equal(
      sh(guestPath, ['for-each-ref', '--format=%(refname)']),
      'refs/heads/warren/blue\nrefs/warren/base',
    );
  });

  test('a linked worktree, opened from a subfolder', async () => {
    const main = makeRepository();
    const linked = join(temporaryFolder(), 'linked tree');
    sh(main, ['worktree', 'add', '-q', '-b', 'other', linked]);
    commitAll(linked, 'only here');
    write(linked, { 'src/b.c': 'changed' });
    const { guestPath, repository } = await travel(guest, join(linked, 'src'));
    assert.equal(repository.root, realpathSync(linked));
    assert.equal(repository.branch, 'other');
    assert.deepEqual(status(guestPath), [' M src/b.c']);
  });

  test('a shallow clone stays shallow', async () => {
    const origin = makeRepository();
    for (const n of [1, 2, 3]) commitAll(origin, `c${n}`);
    const root = join(temporaryFolder(), 'shallow');
    sh(origin, ['clone', '-q', '--depth=2', `file://${origin}`, root]);
    const { guestPath, packed } = await travel(guest, root);
    assert.equal(packed.manifest.repositories[0]?.shallow.length, 1);
    assert.equal(sh(guestPath, ['rev-list', '--count', 'HEAD']), '2');
    commitAll(guestPath, 'on top');
  });

  test('a merge in progress: content travels with its markers, the merge does not', async () => {
    const root = makeRepository({ a: 'base\n', kept: '1', 'deleted-by-them': 'x' });
    sh(root, ['checkout', '-q', '-b', 'side']);
    rmSync(join(root, 'deleted-by-them'));
    write(root, { a: 'side\n' });
    commitAll(root, 'side');
    sh(root, ['checkout', '-q', 'main']);
    write(root, { a: 'main\n', 'deleted-by-them': 'y' });
    commitAll(root, 'main');
    assert.throws(() => sh(root, ['merge', 'side']));
    const { guestPath, packed } = await travel(guest, root);
    assert.match(readFileSync(join(guestPath, 'a'), 'utf8'), /<<<<<<< HEAD\nmain\n/);
    assert.deepEqual(worktree(guestPath), worktree(root));
    assert.deepEqual(status(guestPath), [' M a']);
    assert.equal(packed.withheld.notices.length, 2);
    assert.match(packed.withheld.notices[0]!, /^"a" has an unresolved merge conflict/);
  });

  test('intent-to-add, skip-worktree, assume-unchanged and a sparse checkout', async () => {
    const root = makeRepository({ skipped: '1', assumed: '1', 'in/f': '1', 'out/f': '1' });
    write(root, { intended: 'new\n' });
    sh(root, ['add', '--intent-to-add', 'intended']);
    sh(root, ['update-index', '--skip-worktree', 'skipped']);
    sh(root, ['update-index', '--assume-unchanged', 'assumed']);
    write(root, { skipped: 'mine', assumed: 'mine' });
    const { guestPath } = await travel(guest, root);
    assert.equal(readFileSync(join(guestPath, 'intended'), 'utf8'), 'new\n');
    assert.equal(readFileSync(join(guestPath, 'skipped'), 'utf8'), '1', 'git was told not to look at it');
    assert.equal(readFileSync(join(guestPath, 'assumed'), 'utf8'), '1', 'git was told not to look at it');

    const sparse = makeRepository({ 'in/f': '1', 'out/f': '1', top: '1' });
    sh(sparse, ['sparse-checkout', 'set', '--cone', '--sparse-index', 'in']);
    write(sparse, { 'in/f': '2' });
    const there = await travel(guest, sparse);
    assert.equal(readFileSync(join(there.guestPath, 'out/f'), 'utf8'), '1', 'the whole tree is there');
    assert.deepEqual(status(there.guestPath), [' M in/f']);
  });

  test('line endings and filters: blobs travel, the user’s filters do not', async () => {
    const root = makeRepository({
      '.gitattributes': '*.txt text\n*.bin filter=lfs -text\n*.up filter=upper\n',
      'x.up': 'quiet',
    });
    sh(root, ['config', 'filter.upper.clean', "tr 'a-z' 'A-Z'"]);
    sh(root, ['config', 'filter.upper.smudge', "tr 'A-Z' 'a-z'"]);
    write(root, { 'dos.txt': 'a\r\nb\r\n' });
    commitAll(root, 'dos');
    sh(root, ['config', 'core.autocrlf', 'true']);
    sh(root, ['config', 'core.safecrlf', 'true']);
    write(root, { 'dos.txt': 'a\r\nc\r\nmixed\n', 'x.up': 'louder' });
    const { guestPath } = await travel(guest, root);
    assert.equal(readFileSync(join(guestPath, 'dos.txt'), 'utf8'), 'a\nc\nmixed\n');
    assert.equal(readFileSync(join(guestPath, 'x.up'), 'utf8'), 'LOUDER', 'the guest has no such filter');
    assert.deepEqual(status(guestPath), [' M dos.txt', ' M x.up']);
  });

  test('LFS pointers travel as pointers, with a filter that would fail in the guest', async () => {
    const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n';
    const root = makeRepository({ '.gitattributes': '*.bin filter=lfs diff=lfs -text\n', 'x.bin': pointer });
    const { guestPath } = await travel(guest, root);
    assert.equal(readFileSync(join(guestPath, 'x.bin'), 'utf8'), pointer);
    assert.deepEqual(status(guestPath), []);
  });

  test('a change within the same second and of the same size is not missed', async () => {
    const root = makeRepository({ f: 'aaaa' });
    sh(root, ['config', 'core.trustctime', 'false']);
    const then = Math.floor(Date.now() / 1000) - 10;
    utimesSync(join(root, 'f'), then, then);
    sh(root, ['update-index', '--refresh']);
    writeFileSync(join(root, 'f'), 'bbbb');
    utimesSync(join(root, 'f'), then, then);
    utimesSync(join(root, '.git/index'), then, then);
    const { guestPath } = await travel(guest, root);
    assert.equal(readFileSync(join(guestPath, 'f'), 'utf8'), 'bbbb');
  });

  test('objects in alternates, a split index, grafts and replace refs', async () => {
    const origin = makeRepository();
    commitAll(origin, 'more');
    const root = join(temporaryFolder(), 'borrower');
    sh(origin, ['clone', '-q', '--shared', origin, root]);
    sh(root, ['config', 'core.splitIndex', 'true']);
    sh(root, ['config', 'splitIndex.maxPercentChange', '0']);
    sh(root, ['update-index', '--split-index']);
    write(root, { 'a.txt': 'mine' });
    commitAll(root, 'mine');
    sh(root, ['replace', 'HEAD~1', 'HEAD~2']);
    write(root, { '.git/info/grafts': `${sh(root, ['rev-parse', 'HEAD'])}\n` });
    const real = [
      '--no-replace-objects',
      '-c',
      'advice.graftFileDeprecated=false',
      'rev-list',
      '--count',
      'HEAD',
    ];
    const repository = await openRepository(root);
    write(root, { 'a.txt': 'changed', 'src/b.c': 'changed' });
    const before = fingerprint(root);
    const guestPath = join(guest.folder, 'grafted');
    const packed = await packIn(repository, {
      branch: 'b',
      guestPath,
      transferFolder: temporaryFolder(),
    });
    assert.equal((await guest.clone(packed.stream(user))).status, 200);
    assert.deepEqual(fingerprint(root), before);
    assert.equal(sh(guestPath, real), '3');
    sh(guestPath, ['fsck', '--strict']);
  });

  test('submodules: nested, changed, behind, renamed; one is not checked out', async () => {
    const inner = makeRepository({ 'inner.txt': '1' });
    const middle = makeRepository({ 'middle.txt': '1' });
    sh(middle, ['submodule', '--quiet', 'add', '--name', 'deep/name', inner, 'vendor/inner']);
    commitAll(middle, 'with inner');
    const root = makeRepository({ top: '1' });
    sh(root, ['submodule', '--quiet', 'add', middle, 'libs/middle']);
    sh(root, ['submodule', '--quiet', 'add', inner, 'libs/absent']);
    commitAll(root, 'with middle');
    sh(root, ['mv', 'libs/middle', 'libs/moved']);
    commitAll(root, 'renamed');
    sh(root, ['submodule', '--quiet', 'update', '--init', '--recursive', 'libs/moved']);
    sh(root, ['submodule', '--quiet', 'deinit', '-f', 'libs/absent']);
    const moved = join(root, 'libs/moved');
    commitAll(moved, 'newer than its gitlink');
    write(moved, { 'middle.txt': 'changed', 'loose.txt': 'untracked' });
    write(join(moved, 'vendor/inner'), { 'inner.txt': 'changed too' });

    const { guestPath, packed } = await travel(guest, root);
    assert.deepEqual(packed.withheld.submodulesNotCheckedOut, ['libs/absent']);
    assert.deepEqual(packed.withheld.untracked, ['libs/moved/loose.txt']);
    const rows = packed.manifest.repositories.map((row) => [row.path, row.name, row.branch]);
    assert.deepEqual(rows, [
      ['', '', 'warren/blue'],
      ['libs/moved', 'libs/middle', null],
      ['libs/moved/vendor/inner', 'deep/name', null],
    ]);
    assert.deepEqual(status(guestPath), [' M libs/moved']);
    assert.deepEqual(status(join(guestPath, 'libs/moved')), [' M middle.txt', ' M vendor/inner']);
    for (const path of ['libs/moved', 'libs/moved/vendor/inner']) {
      assert.equal(
        sh(join(guestPath, path), ['rev-parse', 'HEAD']),
        sh(join(root, path), ['rev-parse', 'HEAD']),
      );
      sh(join(guestPath, path), ['fsck', '--strict']);
    }
    assert.equal(readFileSync(join(guestPath, 'libs/moved/vendor/inner/inner.txt'), 'utf8'), 'changed too');
    const gitDirs = sh(join(guestPath, 'libs/moved/vendor/inner'), ['rev-parse', '--absolute-git-dir']);
    assert.equal(gitDirs, join(guestPath, '.git/modules/libs/middle/modules/deep/name'));
    assert.match(sh(guestPath, ['submodule', 'status', '--recursive']), /^\+.* libs\/moved/m);
  });

  test('identity: the repository’s own, the global one, none', async () => {
    const root = makeRepository();
    const global = await travel(guest, root);
    assert.deepEqual(global.packed.manifest.identity, { name: 'Ada Ünï', email: 'ada@example.org' });
    sh(root, ['config', 'user.name', 'quote " back \\ #; [x]']);
    const local = await travel(guest, root);
    assert.equal(sh(local.guestPath, ['config', '--local', 'user.name']), 'quote " back \\ #; [x]');
    const config = readFileSync(join(testHome, '.gitconfig'), 'utf8');
    writeFileSync(join(testHome, '.gitconfig'), '');
    try {
      sh(root, ['config', '--unset', 'user.name']);
      assert.equal((await travel(guest, root)).packed.manifest.identity, null);
    } finally {
      writeFileSync(join(testHome, '.gitconfig'), config);
    }
  });

  test('a partial clone with missing objects is refused, and nothing is fetched for it', async () => {
    const origin = makeRepository({ f: 'old' });
    write(origin, { f: 'new' });
    commitAll(origin, 'second');
    sh(origin, ['config', 'uploadpack.allowFilter', 'true']);
    const root = join(temporaryFolder(), 'partial');
    sh(origin, ['clone', '-q', '--filter=blob:none', `file://${origin}`, root]);
    const repository = await openRepository(root);
    const before = fingerprint(root);
    const packing = packIn(repository, {
      branch: 'b',
      guestPath: '/x',
      transferFolder: temporaryFolder(),
    });
    await assert.rejects(packing, {
      code: 'repo.partial-clone',
      remedy: /git fetch --refetch --no-filter origin/,
    });
    assert.deepEqual(fingerprint(root), before);
    sh(root, ['fetch', '-q', '--refetch', '--no-filter', 'origin']);
    await travel(guest, root);
  });

  test('cancelling stops and cleans up', async () => {
    const repository = await openRepository(makeRepository());
    const transferFolder = temporaryFolder();
    const options = { branch: 'b', guestPath: '/x', transferFolder, signal: AbortSignal.abort() };
    await assert.rejects(packIn(repository, options), { code: 'usage.cancelled' });
    assert.deepEqual(fingerprint(transferFolder), {});
  });

  test('10,000 files', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, n) => [`d${n % 100}/f${n}`, `${n}\n`]),
    );
    const root = makeRepository(files);
    write(root, { 'd0/f0': 'changed' });
    const { guestPath } = await travel(guest, root);
    assert.deepEqual(status(guestPath), [' M d0/f0']);
  });
});
