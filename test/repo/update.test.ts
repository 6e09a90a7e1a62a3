// A guest that has the repository already gets what is new, and stands where the host stands.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type KnownRepository, openRepository, packIn } from '../../src/repo/index.ts';
import { commitAll, makeRepository, sh, temporaryFolder, write } from './fixture.ts';
import { type Guest, guestMissing, startGuest, user } from './guest.ts';

const missing = guestMissing();

describe('packIn and update', { skip: missing ?? false }, () => {
  let guest: Guest;
  let nr = 0;
  before(async () => {
    guest = await startGuest();
  });
  after(() => guest.stop());

  /** Answers what travelled, in bytes, and what the guest has now. */
  async function send(root: string, guestPath: string, known?: Map<string, KnownRepository>) {
    const repository = await openRepository(root);
    const packed = await packIn(repository, {
      branch: known ? 'warren/later' : null,
      guestPath,
      ...(known && { known }),
      transferFolder: temporaryFolder(),
    });
    const answer = await guest[known ? 'update' : 'clone'](packed.stream(user));
    assert.deepEqual(
      [answer.status, answer.body],
      [200, { head: repository.head }],
      JSON.stringify(answer.body),
    );
    await packed.dispose();
    const { repositories } = packed.manifest;
    return {
      bytes: packed.bytes,
      known: new Map(repositories.map((each) => [each.path, each])),
      repositories,
    };
  }
  const place = () => join(guest.folder, `update-${nr++}`);

  test('only what is new travels; nothing when nothing is', async () => {
    const root = makeRepository({ big: 'x'.repeat(10) });
    write(root, { big: Array.from({ length: 20_000 }, (_, line) => Math.sin(line)).join('\n') });
    commitAll(root, 'big');
    const at = place();
    const first = await send(root, at);
    assert.equal(sh(at, ['rev-parse', '--abbrev-ref', 'HEAD']), 'HEAD', 'it stands on the commit itself');
    assert.equal((await send(root, at, first.known)).bytes, 0);
    assert.equal(sh(at, ['symbolic-ref', 'HEAD']), 'refs/heads/warren/later');
    write(root, { small: 'new', big: 'changed' });
    sh(root, ['add', 'small']);
    const dirty = await send(root, at, first.known);
    assert.ok(dirty.bytes > 0 && dirty.bytes < first.bytes / 10, `${dirty.bytes} of ${first.bytes}`);
    assert.deepEqual(
      sh(at, ['status', '--porcelain'])
        .split('\n')
        .map((row) => row.trim())
        .sort(),
      ['A  small', 'M big'],
    );
    commitAll(root, 'more');
    assert.ok((await send(root, at, first.known)).bytes < first.bytes / 10);
    assert.equal(sh(at, ['rev-parse', 'HEAD']), sh(root, ['rev-parse', 'HEAD']));
    sh(at, ['fsck', '--strict', '--no-dangling']);
  });

  test('a commit that is gone, or a history cut elsewhere, is not counted on', async () => {
    const root = makeRepository({ a: '1' });
    write(root, { a: '2' });
    commitAll(root, 'two');
    const at = place();
    const first = await send(root, at);
    const gone = new Map([['', { head: 'ab'.repeat(20), shallow: [] }]]);
    assert.equal((await send(root, at, gone)).bytes, first.bytes);
    const cut = new Map([['', { head: first.repositories[0]!.head, shallow: ['cd'.repeat(20)] }]]);
    assert.equal((await send(root, at, cut)).bytes, first.bytes);
    sh(at, ['fsck', '--strict', '--no-dangling']);

    const shallow = temporaryFolder();
    sh(shallow, ['clone', '-q', '--depth', '1', `file://${root}`, '.']);
    const there = place();
    const cutShort = await send(shallow, there);
    sh(shallow, ['fetch', '-q', '--unshallow']);
    await send(shallow, there, cutShort.known);
    assert.equal(sh(there, ['rev-list', '--count', 'HEAD']), '2');
    sh(there, ['fsck', '--strict', '--no-dangling']);
  });

  test('submodules: moved on, and one that was checked out since', async () => {
    const inner = makeRepository({ inner: '1' });
    const root = makeRepository({ top: '1' });
    sh(root, ['submodule', '--quiet', 'add', inner, 'libs/a']);
    sh(root, ['submodule', '--quiet', 'add', inner, 'libs/b']);
    commitAll(root, 'with both');
    sh(root, ['submodule', '--quiet', 'deinit', '-f', 'libs/b']);
    const at = place();
    const { known } = await send(root, at);
    assert.deepEqual([...known.keys()], ['', 'libs/a']);
    write(join(root, 'libs/a'), { inner: '2' });
    commitAll(join(root, 'libs/a'), 'inner two');
    sh(root, ['submodule', '--quiet', 'update', '--init', 'libs/b']);
    commitAll(root, 'moved on');
    await send(root, at, known);
    assert.equal(sh(at, ['status', '--porcelain']), '');
    assert.equal(sh(join(at, 'libs/a'), ['log', '-1', '--format=%s']), 'inner two');
    assert.equal(
      sh(at, ['submodule', 'status'])
        .split('\n')
        .filter((row) => !row.startsWith(' '))
        .join(),
      '',
    );
    sh(join(at, 'libs/b'), ['fsck', '--strict', '--no-dangling']);
  });

  test('a repository without commits, and its first one', async () => {
    const root = temporaryFolder();
    sh(root, ['init', '-q']);
    write(root, { a: '1' });
    sh(root, ['add', 'a']);
    const at = place();
    const { known } = await send(root, at);
    assert.equal(sh(at, ['symbolic-ref', 'HEAD']), 'refs/heads/warren/unborn');
    await send(root, at, known);
    assert.equal(sh(at, ['symbolic-ref', 'HEAD']), 'refs/heads/warren/later');
    assert.equal(sh(at, ['status', '--porcelain']), 'A  a');
    commitAll(root, 'first');
    await send(root, at, known);
    assert.equal(sh(at, ['log', '--format=%s']), 'first');
  });
});
