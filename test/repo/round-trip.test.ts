// The whole way without a machine: pack → clone in the guest → commit there → pack → receive → merge.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { merge, openRepository, packIn, receive } from '../../src/repo/index.ts';
import { commitAll, fingerprint, makeRepository, sh, temporaryFolder, worktree, write } from './fixture.ts';
import { type Guest, guestMissing, startGuest, user } from './guest.ts';
import { travel } from './travel.ts';

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
    transferFolder: temporaryFolder(),
  });
  const cloned = await guest.clone(packed.stream(user));
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

test('a submodule’s commits come home into its own repository', { skip: missing ?? false }, async () => {
  const library = makeRepository({ 'lib.c': '1' });
  const root = makeRepository({ top: '1' });
  sh(root, ['submodule', '--quiet', 'add', library, 'libs/a']);
  commitAll(root, 'with library');
  const { guestPath } = await travel(guest, root);
  const inner = await openRepository(join(root, 'libs/a'));
  const outer = await openRepository(root);

  write(join(guestPath, 'libs/a'), { 'lib.c': '2' });
  await guest.json('commit', { path: `${guestPath}/libs/a`, user, message: 'inside' });
  await guest.json('commit', { path: guestPath, user, message: 'outside' });
  type Status = { submodules: { path: string; head: string }[]; ahead: number; descends: boolean };
  const said = await guest.json<Status>('status', { path: guestPath, user, base: outer.head, limit: 10 });
  const innerTip = sh(join(guestPath, 'libs/a'), ['rev-parse', 'HEAD']);
  assert.deepEqual(
    [said.submodules, said.ahead, said.descends],
    [[{ path: 'libs/a', head: innerTip }], 1, true],
  );

  for (const [repository, path, ref] of [
    [inner, `${guestPath}/libs/a`, 'HEAD'],
    [outer, guestPath, 'warren/blue'],
  ] as const) {
    const { tip, pack } = await guest.pack({ path, user, ref, have: [repository.head] });
    const quarantineFolder = join(temporaryFolder(), 'q');
    const options = {
      sandbox: 'blue',
      branch: 'warren/blue',
      tip,
      base: repository.head,
      pack,
      quarantineFolder,
    };
    const back = await receive(repository, options);
    assert.deepEqual([back.commits, back.descends], [1, true]);
    assert.deepEqual(back.gitlinks, repository === outer ? [{ path: 'libs/a', commit: innerTip }] : []);
    await merge(repository, { tip, sandbox: 'blue', mode: 'auto' });
  }
  assert.equal(sh(root, ['rev-parse', 'HEAD:libs/a']), innerTip);
  assert.equal(sh(root, ['status', '--porcelain']), '');
});

test('shallow and SHA-256 repositories come home too', { skip: missing ?? false }, async () => {
  const origin = makeRepository({ a: '1' }, ['--object-format=sha256']);
  for (const n of [1, 2, 3]) commitAll(origin, `c${n}`);
  const root = join(temporaryFolder(), 'shallow');
  sh(origin, ['clone', '-q', '--depth=2', `file://${origin}`, root]);
  const { guestPath, repository } = await travel(guest, root);
  write(guestPath, { b: '2' });
  await guest.json('commit', { path: guestPath, user, message: 'work' });
  const { tip, pack } = await guest.pack({ path: guestPath, user, ref: 'HEAD', have: [repository.head] });
  const shallow = readFileSync(join(root, '.git/shallow'), 'utf8');
  const quarantineFolder = join(temporaryFolder(), 'q');
  const back = await receive(repository, {
    sandbox: 'blue',
    branch: 'warren/blue',
    tip,
    base: repository.head,
    pack,
    quarantineFolder,
  });
  assert.deepEqual([back.commits, back.descends], [1, true]);
  assert.equal(readFileSync(join(root, '.git/shallow'), 'utf8'), shallow);
  assert.equal((await merge(repository, { tip, sandbox: 'blue', mode: 'auto' })).kind, 'fast-forward');
});

test('a history rewritten at the cut of a shallow clone is received as such', {
  skip: missing ?? false,
}, async () => {
  const origin = makeRepository();
  for (const n of [1, 2, 3]) commitAll(origin, `c${n}`);
  const root = join(temporaryFolder(), 'shallow');
  sh(origin, ['clone', '-q', '--depth=2', `file://${origin}`, root]);
  const { guestPath, repository } = await travel(guest, root);
  sh(guestPath, ['reset', '-q', '--hard', 'HEAD~1']);
  commitAll(guestPath, 'instead');
  const { tip, pack } = await guest.pack({ path: guestPath, user, ref: 'HEAD', have: [repository.head] });
  const quarantineFolder = join(temporaryFolder(), 'q');
  const back = await receive(repository, {
    sandbox: 'blue',
    branch: 'b',
    tip,
    base: repository.head,
    pack,
    quarantineFolder,
  });
  assert.deepEqual([back.commits, back.descends], [1, false]);
});

test('work goes on after a fetch: the second hand-back brings only what is new', {
  skip: missing ?? false,
}, async () => {
  const root = makeRepository();
  const { guestPath, repository } = await travel(guest, root);
  const quarantineFolder = join(temporaryFolder(), 'q');
  const have = [repository.head];
  const sizes: number[] = [];
  for (const n of [1, 2]) {
    write(guestPath, { [`f${n}`]: randomBytes(10_000) });
    await guest.json('commit', { path: guestPath, user, message: `work ${n}` });
    const { tip, pack } = await guest.pack({ path: guestPath, user, ref: 'warren/blue', have });
    let bytes = 0;
    pack!.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    pack!.pause();
    const back = await receive(repository, {
      sandbox: 'blue',
      branch: 'warren/blue',
      tip,
      base: repository.head,
      pack,
      quarantineFolder,
    });
    assert.deepEqual([back.commits, back.files], [n, n]);
    have.push(tip);
    sizes.push(bytes);
  }
  assert.ok(sizes[1]! < 11_000, `${sizes}`);
});
