// The whole journey on a real machine: up, work, diff, fetch, merge, rm. Once in a restored machine, once in one
// that was booted from its disk.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { SandboxView, UpResult } from '../../src/protocol/api.ts';
import { openWarren, removeAfter, write } from './harness.ts';

const warren = openWarren();

for (const machine of ['restored', 'booted'] as const) {
  describe(`the journey in a ${machine} machine`, () => {
    it('work goes in, is done, and comes home', async (t) => {
      const repository = warren.repository(`app-${machine}`, { 'a.txt': 'one\n', 'src/b.txt': 'two\n' });
      write(repository, { 'a.txt': 'one\nchanged\n', '.env': 'SECRET=1\n', 'note.txt': 'untracked\n' });
      const name = `journey-${machine}`;
      removeAfter(t, warren, name);

      const up = await warren.json<UpResult>(['up', '--name', name], { cwd: repository });
      assert.equal(up.created, true);
      assert.deepEqual(up.withheld?.env, ['.env']);
      assert.deepEqual(up.withheld?.untracked, ['note.txt']);
      const guestPath = `/workspaces/app-${machine}`;
      assert.equal(up.sandbox.workdir, guestPath);

      assert.equal(
        await warren.sh(name, 'pwd; id -un; git branch --show-current; git status --short; ls -A'),
        [guestPath, 'user', `warren/${name}`, ' M a.txt', '.git', 'a.txt', 'src', ''].join('\n'),
      );
      assert.equal(
        await warren.sh(name, 'git log --format="%an <%ae> %s"'),
        'Ann Tester <ann@example.com> first\n',
      );

      if (machine === 'booted') {
        await warren.ok(['stop', name]);
        await warren.fails(['exec', name, '--', 'true'], 'sandbox.wrong-state');
        await warren.ok(['start', name]);
        assert.equal(await warren.sh(name, 'git status --short'), ' M a.txt\n');
      }

      await warren.sh(name, 'git commit -qam "from the guest" && echo three > c.txt');
      const diff = await warren.run(['diff', name]);
      assert.match(diff.stderr, /1 commit since/);
      assert.match(diff.stderr, /\?\? c\.txt/);
      assert.match(diff.stdout, /^diff --git a\/a\.txt/);
      const refusal = await warren.fails(['rm', name], 'sandbox.unfetched-work');
      assert.match(refusal.stderr, /"from the guest", c\.txt/);

      await warren.ok(['fetch', name], { cwd: repository });
      assert.equal(
        warren.git(repository, 'log', '--format=%s', `refs/warren/${name}/warren/${name}`),
        'from the guest\nfirst\n',
      );
      assert.equal(warren.git(repository, 'log', '--format=%s'), 'first\n', 'fetch leaves the branch alone');

      warren.git(repository, 'checkout', '-q', 'a.txt');
      await warren.ok(['merge', name, '--commit', '-m', 'the rest'], { cwd: repository });
      assert.equal(warren.git(repository, 'log', '--format=%s'), 'the rest\nfrom the guest\nfirst\n');
      assert.equal(readFileSync(join(repository, 'c.txt'), 'utf8'), 'three\n');
      assert.equal(warren.git(repository, 'status', '--short'), '?? .env\n?? note.txt\n');
      warren.git(repository, 'fsck', '--strict');

      const { stderr } = await warren.run(['merge', name], { cwd: repository });
      assert.match(stderr, /nothing to merge/);
      await warren.ok(['rm', name]);
      assert.deepEqual(await warren.json<SandboxView[]>(['ls']), []);
    });
  });
}

describe('one sandbox and its repository', () => {
  it('a second up answers with the same sandbox; a conflict is left to git', async (t) => {
    const repository = warren.repository('conflict');
    removeAfter(t, warren, 'conflict');
    const first = await warren.json<UpResult>(['up'], { cwd: repository });
    const again = await warren.json<UpResult>(['up'], { cwd: join(repository) });
    assert.equal(again.created, false);
    assert.equal(again.sandbox.id, first.sandbox.id);
    await warren.sh('conflict', 'echo guest > a.txt && git commit -qam guest');
    writeFileSync(join(repository, 'a.txt'), 'host\n');
    warren.git(repository, 'commit', '-qam', 'host');
    const merge = await warren.run(['merge', 'conflict'], { cwd: repository });
    assert.equal(merge.code, 1);
    assert.match(merge.stdout + merge.stderr, /a\.txt/);
    assert.equal(warren.git(repository, 'status', '--short'), 'UU a.txt\n');
    warren.git(repository, 'merge', '--abort');
  });

  it('squash, and the risks of what came home', async (t) => {
    const repository = warren.repository('squash');
    removeAfter(t, warren, 'squash');
    await warren.ok(['up', '--detach'], { cwd: repository });
    await warren.sh(
      'squash',
      'for i in 1 2; do echo $i >> a.txt; git commit -qam "step $i"; done; echo "run me" > .envrc; git add .envrc; git commit -qm risky',
    );
    const merged = await warren.run(['merge', 'squash', '--squash', '-m', 'all in one'], { cwd: repository });
    assert.equal(merged.code, 0, merged.stderr);
    assert.match(merged.stdout + merged.stderr, /\.envrc/);
    assert.equal(warren.git(repository, 'log', '--format=%s'), 'all in one\nfirst\n');
  });

  it('nothing that a guest configured runs here, and a git that lies is found out', async (t) => {
    const repository = warren.repository('liar');
    removeAfter(t, warren, 'liar');
    await warren.ok(['up', '--detach'], { cwd: repository });
    const canary = join(warren.home, 'canary');
    const before = readFileSync(join(repository, '.git/config'), 'utf8');
    const touch = `touch ${canary}`;
    await warren.sh(
      'liar',
      `mkdir -p '${warren.home}' 2>/dev/null
       printf '#!/bin/sh\n${touch}\n' > /tmp/hook; chmod +x /tmp/hook
       for hook in post-checkout post-merge pre-commit reference-transaction post-rewrite; do cp /tmp/hook .git/hooks/$hook; done
       for key in core.fsmonitor core.sshCommand core.pager diff.external credential.helper filter.x.clean filter.x.smudge uploadpack.packObjectsHook gpg.program; do git config $key '${touch}'; done
       echo '* filter=x diff=x' > .gitattributes; echo two > b.txt; git -c core.hooksPath=/dev/null -c filter.x.clean=cat add .
       git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gpg.program=true commit -qm "with everything"`,
    );
    await warren.ok(['diff', 'liar'], { cwd: repository });
    await warren.ok(['merge', 'liar'], { cwd: repository });
    assert.ok(!existsSync(canary));
    assert.equal(readFileSync(join(repository, '.git/config'), 'utf8'), before);
    assert.equal(readFileSync(join(repository, 'b.txt'), 'utf8'), 'two\n');

    const refs = warren.git(repository, 'for-each-ref');
    for (const lie of [
      'head -c 1000000 /dev/urandom',
      'printf "PACK\\0\\0\\0\\2\\377\\377\\377\\377"',
      'yes deadbeefdeadbeefdeadbeefdeadbeefdeadbeef',
      'exit 0',
    ]) {
      await warren.sh(
        'liar',
        `test -e /usr/bin/git.real || sudo mv /usr/bin/git /usr/bin/git.real; printf '#!/bin/sh\ncase "$*" in *pack-objects*) ${lie};; *) exec git.real "$@";; esac\n' | sudo tee /usr/bin/git > /dev/null; sudo chmod +x /usr/bin/git; git.real -c core.hooksPath=/dev/null -c core.fsmonitor=false -c filter.x.clean=cat commit -q --allow-empty -m more`,
      );
      const ended = await warren.run(['fetch', 'liar'], { cwd: repository });
      assert.equal(ended.code, 1, ended.stdout);
      assert.doesNotMatch(ended.stderr, /^\s+at .*:\d+:\d+/m);
      assert.equal(warren.git(repository, 'for-each-ref'), refs, lie);
    }
    warren.git(repository, 'fsck', '--strict');
    assert.ok(!existsSync(canary));
  });

  it('run --rm leaves nothing, and keeps what would be lost', async (t) => {
    const repository = warren.repository('once');
    const one = await warren.run(['run', '--rm', '--', 'sh', '-c', 'cat a.txt; exit 7'], { cwd: repository });
    assert.deepEqual([one.code, one.stdout], [7, 'one\n']);
    assert.deepEqual(await warren.json<SandboxView[]>(['ls']), []);
    removeAfter(t, warren, 'kept');
    const two = await warren.run(['run', '--rm', '--name', 'kept', '--', 'sh', '-c', 'echo x > new'], {
      cwd: repository,
    });
    assert.equal(two.code, 0);
    assert.match(two.stderr, /kept sandbox "kept".*new/);
    assert.deepEqual(
      (await warren.json<SandboxView[]>(['ls'])).map(({ name }) => name),
      ['kept'],
    );
    const none = await warren.run(['run', '--rm', '--no-repo', '--', 'pwd'], { cwd: tmp() });
    assert.deepEqual([none.code, none.stdout], [0, '/home/user\n']);
    assert.ok(!existsSync(join(tmp(), '.git')));
  });
});

function tmp(): string {
  return warren.home;
}
