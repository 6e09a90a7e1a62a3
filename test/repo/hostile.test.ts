// What a hostile guest tries on the way home: cases 78 to 86 of the threat model. Nothing of the user's changes
// but the one ref, and only when the hand-back is good.

import assert from 'node:assert/strict';
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { merge, openRepository } from '../../src/repo/index.ts';
import { commitAll, fingerprint, sh, temporaryFolder, write } from './fixture.ts';
import { blob, commitTree, handBack, makePair, packOf, packOfObjects, type Row, tree } from './hostile.ts';

describe('hand-back of hostile objects', () => {
  const evil: [what: string, rows: (guest: string, id: string) => Row[]][] = [
    ['.git', (_, id) => [{ mode: '100644', name: '.git', id }]],
    ['.GIT', (_, id) => [{ mode: '100644', name: '.GIT', id }]],
    ['git~1', (_, id) => [{ mode: '100644', name: 'git~1', id }]],
    ['.git with an ignorable letter (HFS+)', (_, id) => [{ mode: '100644', name: '.g\u200cit', id }]],
    ['.git with a trailing dot and space (NTFS)', (_, id) => [{ mode: '100644', name: '.git . ', id }]],
    ['.git::$INDEX_ALLOCATION (NTFS)', (_, id) => [{ mode: '100644', name: '.git::$INDEX_ALLOCATION', id }]],
    [
      '..',
      (guest, id) => [{ mode: '40000', name: '..', id: tree(guest, [{ mode: '100644', name: 'x', id }]) }],
    ],
    [
      '.',
      (guest, id) => [{ mode: '40000', name: '.', id: tree(guest, [{ mode: '100644', name: 'x', id }]) }],
    ],
    ['an empty name', (_, id) => [{ mode: '100644', name: '', id }]],
    ['a slash in a name', (_, id) => [{ mode: '100644', name: 'a/../../x', id }]],
    [
      'two entries of one name',
      (_, id) => [
        { mode: '100644', name: 'a', id },
        { mode: '100644', name: 'a', id },
      ],
    ],
    [
      'entries out of order',
      (_, id) => [
        { mode: '100644', name: 'b', id },
        { mode: '100644', name: 'a', id },
      ],
    ],
    ['a padded mode', (_, id) => [{ mode: '0100644', name: 'a', id }]],
    ['a null id', () => [{ mode: '100644', name: 'a', id: '0'.repeat(40) }]],
    ['a symlinked .gitmodules', (_, id) => [{ mode: '120000', name: '.gitmodules', id }]],
    ['a symlinked .gitattributes', (_, id) => [{ mode: '120000', name: '.gitattributes', id }]],
    ['a symlinked .GITATTRIBUTES', (_, id) => [{ mode: '120000', name: '.GITATTRIBUTES', id }]],
    ['a symlinked .gitignore', (_, id) => [{ mode: '120000', name: '.gitignore', id }]],
    [
      'a .gitmodules with a url that is an option',
      (guest) => [
        {
          mode: '100644',
          name: '.gitmodules',
          id: blob(guest, '[submodule "x"]\n\tpath = x\n\turl = --upload-pack=touch\n'),
        },
      ],
    ],
    [
      'a .gitmodules with a name that leads out',
      (guest) => [
        {
          mode: '100644',
          name: '.gitmodules',
          id: blob(guest, '[submodule "../../x"]\n\tpath = x\n\turl = y\n'),
        },
      ],
    ],
  ];
  for (const [what, rows] of evil) {
    test(`78 ${what} is rejected, at the root and below`, async () => {
      const { root, guest, base } = makePair();
      const before = fingerprint(root);
      const file = blob(guest, 'evil');
      const bad = tree(guest, rows(guest, file));
      const below = tree(guest, [{ mode: '40000', name: 'deep', id: bad }]);
      for (const id of what.includes('.gitmodules with') ? [bad] : [bad, below]) {
        const tip = commitTree(guest, id, [base]);
        // Some of them git would not walk itself.
        const byHand = /empty name|null id/.test(what);
        const pack = byHand ? packOfObjects(guest, [tip, id, bad, file]) : packOf(guest, tip, [base]);
        await assert.rejects(handBack(root, { tip, base, pack }), { code: 'repo.handback-rejected' });
      }
      assert.deepEqual(fingerprint(root), before);
    });
  }

  test('78 guard: a plain fetch of a bundle takes such trees', () => {
    const { root, guest, base } = makePair();
    const id = blob(guest, 'evil');
    let accepted = 0;
    for (const name of ['.git', '.GIT', 'git~1', '.g\u200cit']) {
      const tip = commitTree(guest, tree(guest, [{ mode: '100644', name, id }]), [base]);
      sh(guest, ['update-ref', 'refs/heads/evil', tip]);
      const bundle = join(temporaryFolder(), 'evil.bundle');
      sh(guest, ['bundle', 'create', '-q', bundle, `${base}..evil`]);
      try {
        sh(root, ['-c', 'fetch.fsckObjects=false', 'fetch', '-q', bundle, `+evil:refs/heads/taken`]);
        accepted++;
      } catch {}
    }
    assert.equal(accepted, 4, 'this is why hand-backs do not come by bundle');
  });

  test('80 nothing that the guest configured runs: fetch, merge, checkout', async () => {
    const { root, guest, base } = makePair();
    const canary = join(temporaryFolder(), 'canary');
    const touch = `touch ${canary}`;
    const settings = {
      'core.fsmonitor': touch,
      'core.sshCommand': touch,
      'core.hooksPath': '.githooks',
      'diff.external': touch,
      'diff.x.textconv': touch,
      'filter.x.clean': touch,
      'filter.x.smudge': touch,
      'merge.x.driver': touch,
      'alias.status': `!${touch}`,
      'uploadpack.packObjectsHook': touch,
      'gpg.program': touch,
      'credential.helper': `!${touch}`,
      'core.pager': touch,
      'core.editor': touch,
      'core.askPass': touch,
      'include.path': '../.hostile',
    };
    const config = Object.entries(settings).map(([key, value]) => {
      const at = key.lastIndexOf('.');
      const [section, sub] = key.slice(0, at).split('.');
      return `[${section}${sub ? ` "${sub}"` : ''}]\n\t${key.slice(at + 1)} = "${value}"\n`;
    });
    const hook = `#!/bin/sh\n${touch}\n`;
    const hooks = [
      'post-checkout',
      'post-merge',
      'pre-merge-commit',
      'pre-commit',
      'post-commit',
      'reference-transaction',
      'post-index-change',
      'fsmonitor-watchman',
    ];
    write(guest, {
      '.gitattributes': '* filter=x diff=x merge=x text\n',
      '.lfsconfig': config.join(''),
      '.gitconfig': config.join(''),
      '.hostile': config.join(''),
      'bare/HEAD': 'ref: refs/heads/main\n',
      'bare/config': `[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = ..\n\tfsmonitor = "${touch}"\n`,
      'bare/objects/x': '',
      'bare/refs/x': '',
      ...Object.fromEntries(
        hooks.flatMap((name) => [
          [`.githooks/${name}`, hook],
          [`hooks/${name}`, hook],
          [`.husky/${name}`, hook],
        ]),
      ),
      'a.txt': 'hostile\n',
    });
    sh(guest, ['add', '-A']);
    for (const name of hooks)
      sh(guest, ['update-index', '--chmod=+x', `.githooks/${name}`, `hooks/${name}`, `.husky/${name}`]);
    sh(guest, ['commit', '-q', '-m', 'hostile']);
    const tip = sh(guest, ['rev-parse', 'HEAD']);
    // The user's own hooks are not for a merge of ours either, and they tell that hooks are off.
    for (const name of hooks) write(root, { [`.git/hooks/${name}`]: hook });
    sh(root, ['config', 'core.fsmonitor', 'false']);
    for (const name of hooks) chmodSync(join(root, '.git/hooks', name), 0o755);
    const pack = packOf(guest, tip, [base]);
    write(guest, { '.git/config': config.join('') });

    const back = await handBack(root, { tip, base, pack });
    assert.ok(!existsSync(canary), 'receiving ran something');
    assert.deepEqual(back.embeddedRepositories, ['bare']);
    assert.ok(back.risks.some((risk) => risk.path === '.gitattributes' && risk.kind === 'git'));
    write(root, { mine: '1' });
    sh(root, ['-c', 'core.hooksPath=/dev/null', 'add', 'mine']);
    sh(root, ['-c', 'core.hooksPath=/dev/null', 'commit', '-q', '-m', 'diverge']);
    const merged = await merge(await openRepository(root), { tip, sandbox: 'blue', mode: 'auto' });
    assert.equal(merged.kind, 'merged');
    assert.ok(!existsSync(canary), 'merging ran something');
    sh(root, ['commit', '-q', '--allow-empty', '-m', 'with hooks']);
    assert.ok(existsSync(canary), 'the canary works');
  });

  test('82 only ref names that we would have chosen', async () => {
    const { root, guest, base } = makePair();
    const tip = commitAll(guest, 'work');
    const before = fingerprint(root);
    const bad = [
      '--upload-pack=x',
      '-c',
      '../x',
      'a/../../heads/main',
      'HEAD',
      'refs/heads/main',
      '/abs',
      'a//b',
      'a/',
      'a.lock',
      'a/b.lock/c',
      'a..b',
      '.hidden',
      'a/.b',
      'with space',
      'a:b',
      'a^b',
      'a~1',
      'a?',
      'a*',
      'a[b',
      'a\\b',
      'a@{1}',
      '@',
      'x\u202ey',
      'x\u001b[31m',
      'ü',
      'a\nb',
      'a\0b',
      '',
      'x'.repeat(4096),
    ];
    for (const branch of bad) {
      const pack = packOf(guest, tip, [base]);
      await assert.rejects(
        handBack(root, { tip, base, pack, branch }),
        { code: 'repo.bad-ref-name' },
        JSON.stringify(branch),
      );
    }
    for (const sandbox of ['../x', 'a/b', '-x', 'A', '', 'x'.repeat(41), 'a\n']) {
      await assert.rejects(handBack(root, { tip, base, pack: packOf(guest, tip, [base]), sandbox }), {
        code: 'repo.bad-ref-name',
      });
    }
    for (const id of [
      'HEAD',
      '--all',
      'main',
      `${tip}^`,
      tip.slice(0, 10),
      tip.toUpperCase(),
      '0'.repeat(40),
      `${tip}\n${base}`,
    ]) {
      await assert.rejects(handBack(root, { tip: id, base, pack: null }), { message: /is not an object id/ });
    }
    assert.deepEqual(fingerprint(root), before);
  });

  test('82 a good hand-back changes objects and one ref, nothing else', async () => {
    const { root, guest, base } = makePair();
    write(root, { 'a.txt': 'uncommitted', loose: 'x' });
    sh(root, ['config', 'core.logAllRefUpdates', 'always']);
    sh(root, ['config', 'fetch.prune', 'true']);
    sh(root, ['config', 'fetch.writeCommitGraph', 'true']);
    sh(root, ['config', 'remote.origin.url', guest]);
    sh(root, ['config', 'remote.origin.fetch', '+refs/heads/*:refs/remotes/origin/*']);
    const tip = commitAll(guest, 'work');
    sh(guest, ['tag', 'v9']);
    sh(guest, ['branch', 'another']);
    const isNew = (path: string) => path.startsWith('.git/objects/') || path.startsWith('.git/refs/warren/');
    const before = fingerprint(root, isNew);
    const back = await handBack(root, { tip, base, pack: packOf(guest, tip, [base]) });
    assert.deepEqual(fingerprint(root, isNew), before);
    assert.equal(
      sh(root, [
        'for-each-ref',
        '--format=%(refname) %(objectname)',
        'refs/warren',
        'refs/tags',
        'refs/remotes',
      ]),
      `${back.ref} ${tip}`,
    );
    sh(root, ['fsck', '--strict', '--connectivity-only']);
  });

  test('84 objects that are missing, wrong, or only claimed', async () => {
    const { root, guest, base } = makePair();
    write(guest, { 'new.txt': 'new' });
    const middle = commitAll(guest, 'middle');
    const tip = commitAll(guest, 'tip');
    const before = fingerprint(root);
    const newTree = sh(guest, ['rev-parse', `${tip}^{tree}`]);
    const file = sh(guest, ['rev-parse', `${tip}:new.txt`]);
    const cases: [string, Buffer | null][] = [
      ['a missing parent', packOfObjects(guest, [tip, newTree, file])],
      ['a missing tree', packOfObjects(guest, [tip, middle, file])],
      ['a missing blob', packOfObjects(guest, [tip, middle, newTree])],
      ['a missing tip', packOfObjects(guest, [middle, newTree, file])],
      ['no pack at all', null],
    ];
    for (const [what, pack] of cases) {
      await assert.rejects(handBack(root, { tip, base, pack }), { code: 'repo.handback-rejected' }, what);
    }
    // Cuts, grafts and replacements are the guest's own affair: they do not stand in for history.
    write(guest, { '.git/shallow': `${tip}\n` });
    await assert.rejects(handBack(root, { tip, base, pack: packOf(guest, tip, [base]) }), {
      code: 'repo.handback-rejected',
    });
    const noCommit = handBack(root, { tip: newTree, base, pack: packOfObjects(guest, [newTree, file]) });
    await assert.rejects(noCommit, { code: 'repo.handback-rejected', message: /is a tree, not a commit/ });
    assert.deepEqual(fingerprint(root), before);
  });

  test('84 an object that is here already cannot be replaced by another of its name', async () => {
    const { root, guest, base } = makePair();
    const tip = commitAll(guest, 'tip');
    const old = sh(root, ['rev-parse', 'HEAD:a.txt']);
    const good = packOf(guest, tip, [base]);
    const flipped = Buffer.from(good);
    flipped[flipped.length >> 1]! ^= 0xff;
    await assert.rejects(handBack(root, { tip, base, pack: flipped }), /cannot receive/);
    await handBack(root, { tip, base, pack: good });
    assert.equal(sh(root, ['cat-file', 'blob', old]), 'one');
  });

  test('85 history that does not descend from the base is shown as such and not merged unasked', async () => {
    const { root, guest, base } = makePair();
    commitAll(root, 'second');
    const start = sh(root, ['rev-parse', 'HEAD']);
    sh(guest, ['pull', '-q']);
    sh(guest, ['reset', '-q', '--hard', 'HEAD~1']);
    write(guest, { 'a.txt': 'rewritten\n' });
    const tip = commitAll(guest, 'instead');
    const back = await handBack(root, { tip, base: start, pack: packOf(guest, tip, [base]) });
    assert.deepEqual([back.descends, back.rewritten, back.commits], [false, true, 1]);
    const repository = await openRepository(root);
    const asked = { tip, sandbox: 'blue', mode: 'auto', base: start } as const;
    await assert.rejects(merge(repository, asked), { code: 'repo.history-rewritten' });
    assert.equal(sh(root, ['rev-parse', 'HEAD']), start);
    assert.equal((await merge(repository, { ...asked, acceptRewritten: true })).kind, 'merged');

    sh(guest, ['checkout', '-q', '--orphan', 'fresh']);
    const orphan = commitAll(guest, 'unrelated');
    const alone = await handBack(root, { tip: orphan, base: start, pack: packOf(guest, orphan, []) });
    assert.deepEqual([alone.descends, alone.commits], [false, 1]);
    await assert.rejects(merge(repository, { ...asked, tip: orphan, base: null }), {
      code: 'repo.history-rewritten',
    });
  });

  test('86 words of the guest stay as they are in values and are made visible in messages', async () => {
    const { root, guest, base } = makePair();
    const name = '\u001b]52;c;ZXZpbA==\u0007\u202e.txt';
    write(guest, { [name]: 'x', plain: 'y' });
    const link = tree(guest, [{ mode: '120000', name, id: blob(guest, '/etc/\u001b[31mpasswd') }]);
    const tip = commitTree(guest, link, [base]);
    const back = await handBack(root, { tip, base, pack: packOf(guest, tip, [base]) });
    assert.deepEqual(back.escapingSymlinks, [{ path: name, target: '/etc/\u001b[31mpasswd' }]);
    const subject = sh(guest, [
      'commit-tree',
      `${base}^{tree}`,
      '-p',
      base,
      '-m',
      'title \u001b]8;;http://x\u0007click\u202e',
    ]);
    write(guest, { f: '1' });
    sh(guest, ['reset', '-q', '--hard', subject]);
    write(guest, { f: '1' });
    const work = commitAll(guest, 'second \u009b31m');
    await handBack(root, { tip: work, base, pack: packOf(guest, work, [base]) });
    const squashed = await merge(await openRepository(root), { tip: work, sandbox: 'blue', mode: 'squash' });
    const message = sh(root, ['log', '-1', '--format=%B', squashed.commit!]);
    assert.equal(
      message,
      'warren: blue\n\n- title \\x1b]8;;http://x\\x07click\\u{202e}\n- second \\x9b31m\n',
    );
  });
});
