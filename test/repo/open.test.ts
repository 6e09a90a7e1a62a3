// Finding the repository that a path stands in, and saying what is wrong when there is none.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openRepository } from '../../src/repo/index.ts';
import { makeRepository, sh, temporaryFolder, write } from './fixture.ts';

describe('openRepository', () => {
  test('from the top and from a subfolder', async () => {
    const root = realpathSync(makeRepository());
    const repository = await openRepository(join(root, 'src'));
    assert.deepEqual(repository, {
      root,
      gitDir: join(root, '.git'),
      commonDir: join(root, '.git'),
      objectFormat: 'sha1',
      head: sh(root, ['rev-parse', 'HEAD']),
      branch: 'main',
      name: 'demo',
    });
    assert.deepEqual(await openRepository(root), repository);
  });

  test('no commits, detached, SHA-256, a branch with a slash', async () => {
    const empty = await openRepository(makeRepository({}, ['--object-format=sha256', '-b', 'feature/x']));
    assert.deepEqual([empty.head, empty.branch, empty.objectFormat], [null, 'feature/x', 'sha256']);
    const root = makeRepository();
    sh(root, ['checkout', '-q', '--detach']);
    const detached = await openRepository(root);
    assert.deepEqual([detached.branch, detached.head], [null, sh(root, ['rev-parse', 'HEAD'])]);
  });

  test('a linked worktree has its own HEAD and shares the rest', async () => {
    const root = realpathSync(makeRepository());
    const linked = join(realpathSync(temporaryFolder()), 'li nked');
    sh(root, ['worktree', 'add', '-q', '-b', 'side', linked]);
    const repository = await openRepository(linked);
    assert.deepEqual(
      [repository.root, repository.commonDir, repository.branch],
      [linked, join(root, '.git'), 'side'],
    );
    assert.equal(repository.gitDir, sh(linked, ['rev-parse', '--absolute-git-dir']));
    assert.equal(repository.name, 'li-nked');
  });

  test('names for the guest are plain', async () => {
    const names: [string, string][] = [
      ['pä th', 'pa-th'],
      ['new\nline', 'new-line'],
      ['-dash', 'dash'],
      ['.dot', 'dot'],
      ['日本', 'repo'],
      ['a'.repeat(100), 'a'.repeat(64)],
      ['a..b', 'a..b'],
      ['q\'uo"te', 'q-uo-te'],
    ];
    for (const [folder, name] of names) {
      const root = makeRepository({}, [], folder);
      const repository = await openRepository(root);
      assert.deepEqual([repository.root, repository.name], [realpathSync(root), name]);
    }
  });

  test('not a repository: a plain folder, nothing, a file, inside .git', async () => {
    const folder = temporaryFolder();
    write(folder, { file: '' });
    const root = makeRepository();
    for (const path of [folder, join(folder, 'none'), join(folder, 'file'), join(root, '.git')]) {
      await assert.rejects(openRepository(path), {
        code: 'repo.not-a-repository',
        remedy: /git init.*--no-repo/,
      });
    }
  });

  test('bare, of another owner, broken', async () => {
    const bare = makeRepository({}, ['--bare']);
    await assert.rejects(openRepository(bare), { code: 'repo.bare' });
    const broken = makeRepository();
    rmSync(join(broken, '.git/HEAD'));
    await assert.rejects(openRepository(broken), { code: 'repo.not-a-repository' });
    const odd = makeRepository();
    write(odd, { '.git/config': '[core\n' });
    await assert.rejects(openRepository(odd), { code: 'repo.unreadable', message: /bad config/ });
  });

  test('of another owner', {
    skip: process.getuid?.() === 0 ? false : 'only root can give a folder away',
  }, async () => {
    const root = realpathSync(makeRepository({}, [], 'it s'));
    execFileSync('chown', ['-R', '65534:65534', root]);
    await assert.rejects(openRepository(root), {
      code: 'repo.dubious-ownership',
      remedy: `if you trust it, run: git config --global --add safe.directory '${root}'`,
    });
  });

  test('an inherited GIT_DIR points nowhere', async () => {
    const root = realpathSync(makeRepository());
    process.env.GIT_DIR = '/nonexistent';
    process.env.GIT_WORK_TREE = '/nonexistent';
    try {
      assert.equal((await openRepository(root)).root, root);
    } finally {
      delete process.env.GIT_DIR;
      delete process.env.GIT_WORK_TREE;
    }
  });
});
