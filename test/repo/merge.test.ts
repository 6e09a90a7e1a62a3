// Merging a received tip into the user's branch: every outcome, every refusal, and that a refusal changes nothing.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { dropRefs, type MergeOptions, merge, openRepository } from '../../src/repo/index.ts';
import { commitAll, fingerprint, makeRepository, sh, testHome, worktree, write } from './fixture.ts';
import { handBack, makePair, packOf } from './hostile.ts';

/** A repository that has received `files` as one commit on top of its first. */
async function received(files: Record<string, string>, options: { rootFiles?: Record<string, string> } = {}) {
  const { root, guest, base } = makePair(options.rootFiles);
  write(guest, files);
  const tip = commitAll(guest, 'work');
  await handBack(root, { tip, base, pack: packOf(guest, tip, [base]) });
  const run = async (more: Partial<MergeOptions> = {}) =>
    merge(await openRepository(root), { tip, sandbox: 'blue', mode: 'auto', ...more });
  return { root, guest, base, tip, run };
}

const state = (root: string) => ({
  head: sh(root, ['rev-parse', 'HEAD']),
  refs: sh(root, ['for-each-ref']),
  index: sh(root, ['ls-files', '--stage']),
  files: worktree(root),
  operation: existsSync(join(root, '.git/MERGE_HEAD')) || existsSync(join(root, '.git/SQUASH_MSG')),
});

describe('merge', () => {
  test('fast-forward, then up to date; uncommitted work elsewhere stays', async () => {
    const { root, base, tip, run } = await received({ 'new.txt': '1' });
    write(root, { 'src/b.c': 'mine', loose: 'x', staged: 's' });
    sh(root, ['add', 'staged']);
    assert.deepEqual(await run(), { kind: 'fast-forward', commit: tip });
    assert.equal(
      sh(root, ['rev-parse', 'HEAD@{1}', 'main@{1}']),
      `${base}\n${base}`,
      'the reflog knows the way back',
    );
    assert.equal(readFileSync(join(root, 'src/b.c'), 'utf8'), 'mine');
    assert.equal(sh(root, ['status', '--porcelain']), ' M src/b.c\nA  staged\n?? loose');
    assert.deepEqual(await run(), { kind: 'up-to-date', commit: tip });
  });

  test('a merge commit, whatever merge.ff, hooks and signing say', async () => {
    const { root, tip, run } = await received({ 'new.txt': '1' });
    write(root, { mine: '1' });
    const mine = commitAll(root, 'mine');
    for (const [key, value] of [
      ['merge.ff', 'only'],
      ['commit.gpgSign', 'true'],
      ['gpg.program', 'false'],
      ['branch.main.mergeOptions', '--squash'],
    ]) {
      sh(root, ['config', key!, value!]);
    }
    const result = await run({ message: 'take it' });
    assert.equal(result.kind, 'merged');
    assert.equal(
      sh(root, ['log', '-1', '--format=%P|%s|%an', result.commit!]),
      `${mine} ${tip}|take it|Ada Ünï`,
    );
    assert.equal(sh(root, ['status', '--porcelain']), '');
  });

  test('merge.ff=only and mergeOptions do not stop a fast-forward either', async () => {
    const { root, run } = await received({ 'new.txt': '1' });
    sh(root, ['config', 'merge.ff', 'false']);
    sh(root, ['config', 'branch.main.mergeOptions', '--no-ff --no-commit']);
    assert.equal((await run()).kind, 'fast-forward');
  });

  test('squash: one commit with the given message or a list of subjects', async () => {
    const one = await received({ 'new.txt': '1' });
    write(one.root, { staged: 's' });
    sh(one.root, ['add', 'staged']);
    const result = await one.run({ mode: 'squash', message: 'mine\n\nbody\n# not a comment\n' });
    assert.equal(result.kind, 'squashed');
    assert.equal(
      sh(one.root, ['log', '-1', '--format=%P|%B', result.commit!]),
      `${one.base}|mine\n\nbody\n# not a comment\n`,
    );
    assert.equal(sh(one.root, ['status', '--porcelain']), 'A  staged', 'what was staged did not slip in');
    assert.equal((await one.run({ mode: 'squash' })).kind, 'up-to-date');

    const two = await received({ 'new.txt': '1' });
    write(two.root, { mine: '1' });
    commitAll(two.root, 'mine');
    const diverged = await two.run({ mode: 'squash' });
    assert.equal(diverged.kind, 'squashed');
    assert.equal(sh(two.root, ['log', '-1', '--format=%B', diverged.commit!]), 'warren: blue\n\n- work\n');
    assert.equal(sh(two.root, ['rev-list', '--count', 'HEAD']), '3');
    assert.equal((await two.run({ mode: 'squash' })).kind, 'up-to-date');
    assert.ok(!existsSync(join(two.root, '.git/SQUASH_MSG')));
  });

  test('a squash of diverged work refuses staged changes', async () => {
    const { root, run } = await received({ 'new.txt': '1' });
    write(root, { mine: '1' });
    commitAll(root, 'mine');
    write(root, { staged: 's' });
    sh(root, ['add', 'staged']);
    const before = state(root);
    await assert.rejects(run({ mode: 'squash' }), { code: 'repo.would-overwrite', message: /staged/ });
    assert.deepEqual(state(root), before);
  });

  test('conflicts are left as git leaves them', async () => {
    for (const mode of ['auto', 'squash'] as const) {
      const { root, tip, run } = await received({ 'a.txt': 'theirs\n', 'b ü.txt': 'theirs\n' });
      write(root, { 'a.txt': 'mine\n', 'b ü.txt': 'mine\n' });
      commitAll(root, 'mine');
      assert.deepEqual(await run({ mode }), { kind: 'conflicts', conflicts: ['a.txt', 'b ü.txt'] });
      assert.match(readFileSync(join(root, 'a.txt'), 'utf8'), /<<<<<<< HEAD\nmine\n/);
      assert.equal(existsSync(join(root, '.git/MERGE_HEAD')), mode === 'auto');
      if (mode === 'auto') assert.equal(sh(root, ['rev-parse', 'MERGE_HEAD']), tip);
      await assert.rejects(run(), {
        code: 'repo.operation-in-progress',
        remedy: /git (merge --abort|reset --merge)/,
      });
      sh(root, ['reset', '-q', '--merge']);
    }
  });

  test('what would be overwritten stops it, with the files named', async () => {
    const { root, run } = await received({ 'a.txt': 'theirs\n', 'new.txt': 'theirs' });
    write(root, { 'a.txt': 'uncommitted' });
    const before = state(root);
    for (const mode of ['auto', 'squash'] as const) {
      await assert.rejects(run({ mode }), {
        code: 'repo.would-overwrite',
        message: /uncommitted changes in "a.txt"/,
        remedy: /git stash/,
      });
      assert.deepEqual(state(root), before);
    }
    sh(root, ['checkout', '-q', '--', '.']);
    write(root, { 'new.txt': 'untracked' });
    await assert.rejects(run(), { code: 'repo.would-overwrite', message: /untracked files in "new.txt"/ });
    write(root, { elsewhere: '1' });
    sh(root, ['add', 'elsewhere']);
    sh(root, ['commit', '-q', '-m', 'diverged']);
    await assert.rejects(run(), { code: 'repo.would-overwrite' });
    rmSync(join(root, 'new.txt'));
    write(root, { 'a.txt': 'uncommitted' });
    await assert.rejects(run(), { code: 'repo.would-overwrite' });
    sh(root, ['checkout', '-q', '--', '.']);
    assert.equal((await run()).kind, 'merged');
  });

  test('a rebase, cherry-pick or revert in progress stops it', async () => {
    for (const [file, abort] of [
      ['CHERRY_PICK_HEAD', /cherry-pick/],
      ['REVERT_HEAD', /revert/],
      ['rebase-merge/done', /rebase/],
    ] as const) {
      const { root, base, run } = await received({ 'new.txt': '1' });
      write(join(root, '.git'), { [file]: `${base}\n` });
      await assert.rejects(run(), { code: 'repo.operation-in-progress', remedy: abort });
    }
  });

  test('a detached HEAD moves; a branch without commits is made', async () => {
    const { root, tip, run } = await received({ 'new.txt': '1' });
    sh(root, ['checkout', '-q', '--detach']);
    assert.deepEqual(await run(), { kind: 'fast-forward', commit: tip });
    assert.throws(() => sh(root, ['symbolic-ref', '-q', 'HEAD']));

    for (const mode of ['auto', 'squash'] as const) {
      const empty = makeRepository({});
      const guest = makeRepository({ first: '1' });
      const first = sh(guest, ['rev-parse', 'HEAD']);
      const back = await handBack(empty, { tip: first, base: null, pack: packOf(guest, first, []) });
      assert.deepEqual([back.descends, back.commits, back.files], [true, 1, 1]);
      const result = await merge(await openRepository(empty), { tip: first, sandbox: 'blue', mode });
      assert.equal(result.kind, mode === 'auto' ? 'fast-forward' : 'squashed');
      assert.equal(sh(empty, ['symbolic-ref', 'HEAD']), 'refs/heads/main');
      assert.equal(readFileSync(join(empty, 'first'), 'utf8'), '1');
      assert.equal(sh(empty, ['status', '--porcelain']), '');
    }
  });

  test('without an identity it says how to get one', async () => {
    const { root, run } = await received({ 'new.txt': '1' });
    write(root, { mine: '1' });
    commitAll(root, 'mine');
    const before = state(root);
    const config = readFileSync(join(testHome, '.gitconfig'), 'utf8');
    writeFileSync(join(testHome, '.gitconfig'), '[user]\nuseConfigOnly = true\n');
    try {
      for (const mode of ['auto', 'squash'] as const) {
        await assert.rejects(run({ mode }), { code: 'repo.no-identity', remedy: /user\.email/ });
        assert.deepEqual(state(root), before, mode);
      }
    } finally {
      writeFileSync(join(testHome, '.gitconfig'), config);
    }
  });

  test('in a linked worktree only its own branch moves', async () => {
    const { root, tip } = await received({ 'new.txt': '1' });
    const linked = join(root, '..', 'linked');
    sh(root, ['worktree', 'add', '-q', '-b', 'side', linked]);
    const main = sh(root, ['rev-parse', 'main']);
    assert.equal(
      (await merge(await openRepository(linked), { tip, sandbox: 'blue', mode: 'auto' })).kind,
      'fast-forward',
    );
    assert.deepEqual([sh(root, ['rev-parse', 'main']), sh(root, ['rev-parse', 'side'])], [main, tip]);
  });
});

describe('dropRefs', () => {
  test('removes the refs of one sandbox, and says where they were', async () => {
    const { root, guest, base, tip } = await received({ f: '1' });
    await handBack(root, { tip, base, pack: null, branch: 'other/branch' });
    await handBack(root, { tip, base, pack: null, sandbox: 'blue-2' });
    const repository = await openRepository(root);
    const before = fingerprint(
      root,
      (path) => path.startsWith('.git/refs/warren') || path.startsWith('.git/packed-refs'),
    );
    assert.deepEqual(await dropRefs(repository, 'blue'), {
      refs: [
        { ref: 'refs/warren/blue/other/branch', tip },
        { ref: 'refs/warren/blue/warren/blue', tip },
      ],
    });
    assert.deepEqual(await dropRefs(repository, 'blue'), { refs: [] });
    assert.equal(
      sh(root, ['for-each-ref', '--format=%(refname)', 'refs/warren']),
      'refs/warren/blue-2/warren/blue',
    );
    assert.deepEqual(
      fingerprint(root, (path) => path.startsWith('.git/refs/warren') || path.startsWith('.git/packed-refs')),
      before,
    );
    await assert.rejects(dropRefs(repository, '*'), { code: 'repo.bad-ref-name' });
    assert.ok(guest);
  });
});
