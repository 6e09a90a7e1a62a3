// What a hostile guest tries on the way home: cases 78 to 86 of the threat model. Nothing of the user's changes
// but the one ref, and only when the hand-back is good.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { merge, openRepository } from '../../src/repo/index.ts';
import { commitAll, fingerprint, sh, temporaryFolder, worktree, write } from './fixture.ts';
import {
  blob,
  commitTree,
  handBack,
  makePair,
  packOf,
  packOfObjects,
  type Row,
  rawPack,
  tree,
} from './hostile.ts';

/** A delta against a base of `from` bytes that says it makes `to` bytes, by copying the base's start over and over. */
function deltaBomb(from: number, to: number): Buffer {
  const varint = (n: number) => {
    const bytes = [];
    for (; n >= 128; n = Math.floor(n / 128)) bytes.push((n % 128) | 128);
    return [...bytes, n];
  };
  return Buffer.from([...varint(from), ...varint(to), 0x90 | 0x20, from & 255, (from >> 8) & 255]);
}

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

describe('hand-back beyond the limits', () => {
  const pairWith = (files: Record<string, Buffer | string>) => {
    const pair = makePair();
    write(pair.guest, files);
    const tip = commitAll(pair.guest, 'large');
    return { ...pair, tip, pack: packOf(pair.guest, tip, [pair.base]) };
  };
  const refused = async (
    what: { root: string; tip: string; base: string; pack: Buffer },
    limits: object,
    message: RegExp,
  ) => {
    const before = fingerprint(what.root);
    await assert.rejects(handBack(what.root, { ...what, limits }), {
      code: 'repo.handback-too-large',
      message,
    });
    assert.deepEqual(fingerprint(what.root), before);
  };

  test('zeros: small as a pack, large once unpacked', async () => {
    const what = pairWith({ one: Buffer.alloc(20 << 20), two: Buffer.alloc((20 << 20) + 1) });
    assert.ok(what.pack.length < 100_000);
    await refused(what, { inflatedBytes: 30 << 20 }, /unpacked bytes/);
    await refused(what, { blobBytes: 10 << 20 }, /a blob has 20971520 bytes/);
    assert.equal((await handBack(what.root, what)).files, 2);
  });

  test('one blob a thousand times: small as objects, large once checked out', async () => {
    const { root, guest, base } = makePair();
    const id = blob(guest, Buffer.alloc(1 << 20));
    const rows = Array.from({ length: 10 }, (_, n) => String(n));
    let at = tree(
      guest,
      rows.map((name) => ({ mode: '100644', name, id })),
    );
    for (let depth = 0; depth < 2; depth++)
      at = tree(
        guest,
        rows.map((name) => ({ mode: '40000', name, id: at })),
      );
    const tip = commitTree(guest, at, [base]);
    const what = { root, tip, base, pack: packOf(guest, tip, [base]) };
    assert.ok(what.pack.length < 10_000);
    await refused(what, { inflatedBytes: 100 << 20 }, /a checkout of it/);
    await refused(what, { objects: 500 }, /files/);
    const deep = Array.from({ length: 12 }).reduce<string>(
      (inner) =>
        tree(
          guest,
          rows.map((name) => ({ mode: '40000', name, id: inner })),
        ),
      at,
    );
    const bomb = commitTree(guest, deep, [base]);
    await refused(
      { root, tip: bomb, base, pack: packOf(guest, bomb, [base]) },
      { objects: 100_000 },
      /files/,
    );
  });

  test('bytes of the pack, objects, commits, path length', async () => {
    const what = pairWith(
      Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`f${n}`, String(Math.random())])),
    );
    await refused(what, { packBytes: 1000 }, /the pack has/);
    await refused(what, { objects: 20 }, /objects or more/);
    for (let n = 0; n < 5; n++) commitAll(what.guest, `c${n}`);
    const tip = sh(what.guest, ['rev-parse', 'HEAD']);
    const more = { ...what, tip, pack: packOf(what.guest, tip, [what.base]) };
    await refused(more, { commits: 3 }, /commits or more/);
    const passing = pairWith({ [`${'d'.repeat(100)}/${'e'.repeat(100)}/f`]: 'x' });
    sh(passing.guest, ['rm', '-rq', 'd'.repeat(100)]);
    const gone = commitAll(passing.guest, 'the long path is only in the history');
    await refused(
      { ...passing, tip: gone, pack: packOf(passing.guest, gone, [passing.base]) },
      { pathBytes: 150 },
      /a path has/,
    );
    const long = pairWith({ [`${'d'.repeat(100)}/${'e'.repeat(100)}/f`]: 'x' });
    await refused(long, { pathBytes: 150 }, /a path has/);
  });

  test('a delta that says it makes gigabytes does not get the memory for them', async () => {
    const { root, guest, base } = makePair({ seed: 'x'.repeat(60_000) });
    const seed = sh(root, ['rev-parse', 'HEAD:seed']);
    const pack = rawPack([{ type: 7, base: seed, content: deltaBomb(60_000, 3 * 2 ** 30) }]);
    const before = fingerprint(root);
    await assert.rejects(handBack(root, { tip: sh(guest, ['rev-parse', 'HEAD']), base, pack }), {
      code: 'repo.handback-rejected',
      message: /too large to unpack/,
    });
    assert.deepEqual(fingerprint(root), before);
  });

  test('no pack is too strange: garbage, truncation, lies about sizes and counts', async () => {
    const { root, guest, base, tip, pack } = pairWith({ f: 'some content' });
    const lies = Buffer.from(pack);
    lies.writeUInt32BE(1_000_000, 8);
    const cases: [Buffer, string][] = [
      [Buffer.from('hello'), 'interrupted|rejected'],
      [Buffer.alloc(0), 'interrupted'],
      [pack.subarray(0, pack.length - 30), 'interrupted|rejected'],
      [lies, 'interrupted|rejected'],
      [rawPack([{ type: 3, content: Buffer.from('abc'), size: 2 ** 40 }]), 'rejected'],
      [rawPack([{ type: 1, content: Buffer.from('not a commit') }]), 'rejected'],
      [rawPack([{ type: 5, content: Buffer.from('x') }]), 'rejected'],
    ];
    const before = fingerprint(root);
    for (const [bytes, code] of cases) {
      await assert.rejects(handBack(root, { tip, base, pack: bytes }), (error: { code: string }) => {
        assert.match(error.code, new RegExp(`^repo\\.handback-(${code})$`));
        return true;
      });
    }
    assert.deepEqual(fingerprint(root), before);
    assert.ok(guest);
  });

  test('a stream that breaks, stalls or is cancelled leaves nothing behind', async () => {
    const { root, base, tip, pack } = pairWith({
      f: Buffer.from(Array.from({ length: 300_000 }, () => Math.random() * 256)),
    });
    const quarantineFolder = join(temporaryFolder(), 'q');
    const before = fingerprint(root);
    const half = pack.subarray(0, pack.length >> 1);
    const breaking = Readable.from(
      (async function* () {
        yield half;
        throw new Error('channel lost');
      })(),
    );
    await assert.rejects(handBack(root, { tip, base, pack: breaking, quarantineFolder }), {
      code: 'repo.handback-interrupted',
    });
    const stalling = () => {
      const stream = new PassThrough();
      stream.write(half);
      return stream;
    };
    const stopped = AbortSignal.timeout(200);
    await assert.rejects(handBack(root, { tip, base, pack: stalling(), quarantineFolder, signal: stopped }), {
      code: 'usage.cancelled',
    });
    const late = handBack(root, {
      tip,
      base,
      pack: stalling(),
      quarantineFolder,
      limits: { timeoutMs: 200 },
    });
    await assert.rejects(late, { code: 'repo.handback-interrupted', message: /it took longer than 200 ms/ });
    const closing = stalling();
    setTimeout(() => closing.destroy(), 100);
    await assert.rejects(handBack(root, { tip, base, pack: closing, quarantineFolder }), {
      code: 'repo.handback-interrupted',
    });
    assert.deepEqual(readdirSync(quarantineFolder), []);
    assert.deepEqual(fingerprint(root), before);
    assert.equal((await handBack(root, { tip, base, pack, quarantineFolder })).commits, 1);
    assert.deepEqual(worktree(root), worktree(root));
  });
});
