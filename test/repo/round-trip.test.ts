// The whole way without a machine: pack → clone in the guest → commit there → pack → receive → merge.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { merge, openRepository, packIn, receive } from '../../src/repo/index.ts';
import { commitAll, fingerprint, makeRepository, sh, temporaryFolder, worktree, write } from './fixture.ts';
import { type Guest, guestMissing, startGuest, user } from './guest.ts';

const missing = guestMissing();
let guest: Guest;
before(async () => {
  if (!missing) guest = await startGuest();
});
after(() => guest?.stop());

test('work goes in, is committed, comes home and is merged', { skip: missing ?? false }, async () => {
  const root = makeRepository();
  write(root, { 'a.txt': 'changed\n' });
  const repository = await openRepository(root);
  const before = fingerprint(root);
  const guestPath = join(guest.folder, 'deep', 'er', 'demo');
  const packed = await packIn(repository, {
    branch: 'warren/blue',
    guestPath,
    user,
    transferFolder: temporaryFolder(),
  });
  const cloned = await guest.clone(packed.stream());
  assert.deepEqual([cloned.status, cloned.body], [200, { head: repository.head }]);
  await packed.dispose();
  assert.deepEqual(fingerprint(root), before, 'the user’s repository was only read');
  assert.deepEqual(worktree(guestPath), worktree(root));
  assert.equal(sh(guestPath, ['status', '--porcelain']), ' M a.txt');
  assert.equal(sh(guestPath, ['symbolic-ref', 'HEAD']), 'refs/heads/warren/blue');
  assert.equal(sh(guestPath, ['rev-parse', 'refs/warren/base']), repository.head);
  sh(guestPath, ['fsck', '--strict']);

  write(guestPath, { 'new.txt': 'new\n' });
  const { commit } = await guest.json('commit', { path: guestPath, user, message: 'work' });
  const { status, tip, pack } = await guest.pack({
    path: guestPath,
    user,
    ref: 'warren/blue',
    have: [repository.head],
  });
  assert.deepEqual([status, tip], [200, commit]);
  const quarantineFolder = join(temporaryFolder(), 'quarantine');
  const back = await receive(repository, {
    sandbox: 'blue',
    branch: 'warren/blue',
    tip,
    base: repository.head,
    pack,
    quarantineFolder,
  });
  assert.equal(back.ref, 'refs/warren/blue/warren/blue');
  assert.deepEqual([back.commits, back.descends, back.rewritten, back.files], [1, true, false, 2]);
  assert.equal(sh(root, ['rev-parse', back.ref]), commit);

  sh(root, ['checkout', '-q', '--', '.']);
  const merged = await merge(repository, { tip, sandbox: 'blue', mode: 'auto' });
  assert.deepEqual(merged, { kind: 'fast-forward', commit: tip });
  assert.deepEqual(worktree(root), worktree(guestPath));
  assert.deepEqual(await merge(repository, { tip, sandbox: 'blue', mode: 'auto' }), {
    kind: 'up-to-date',
    commit: tip,
  });
  assert.equal((await guest.pack({ path: guestPath, user, ref: 'HEAD', have: [tip] })).status, 204);
  commitAll(root, 'after');
});
