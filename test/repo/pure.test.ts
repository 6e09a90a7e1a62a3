// The decisions of the repo room that need no git: risks, names, symlinks, printable text, what is unfetched.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sanitize, sanitizeLine } from '../../src/protocol/sanitize.ts';
import { bareRepositoryCandidates } from '../../src/repo/changes.ts';
import { isEnvFile } from '../../src/repo/env-file.ts';
import { isNewEnough } from '../../src/repo/git-version.ts';
import { unfetched } from '../../src/repo/index.ts';
import { handbackRef } from '../../src/repo/ref-name.ts';
import { squashText } from '../../src/repo/squash-message.ts';
import { escapes } from '../../src/repo/symlink.ts';
import { diffTrees } from '../../src/repo/tree-diff.ts';
import { parseTree, type TreeRow } from '../../src/repo/tree-reader.ts';
import { change } from './change.ts';

describe('names and text', () => {
  test('refs that we build', () => {
    assert.equal(handbackRef('blue-2', 'warren/blue-2'), 'refs/warren/blue-2/warren/blue-2');
    assert.equal(handbackRef('a', 'feature/JIRA-1.2_x'), 'refs/warren/a/feature/JIRA-1.2_x');
    assert.throws(() => handbackRef('a', 'x\u001b[31m'), /\\x1b\[31m/);
  });

  test('symlinks that lead out', () => {
    const inside: [string, string][] = [
      ['a', 'b'],
      ['a/b', '../c'],
      ['a/b/c', '../../x'],
      ['a', './b/../c'],
      ['a', 'git/x'],
    ];
    const outside: [string, string][] = [
      ['a', '/etc/passwd'],
      ['a', '..'],
      ['a/b', '../../x'],
      ['a', 'b/../../x'],
      ['a', '.git/config'],
      ['a/b', '../.GIT/hooks'],
      ['a', ''],
    ];
    for (const [path, target] of inside) assert.equal(escapes(path, target), false, `${path} -> ${target}`);
    for (const [path, target] of outside) assert.equal(escapes(path, target), true, `${path} -> ${target}`);
  });

  test('text for people', () => {
    assert.equal(sanitize('a\tb\nü 漢 👩‍👩'.replace('\u200d', '')), 'a\tb\nü 漢 👩👩');
    assert.equal(
      sanitize('\u001b]52;c;x\u0007\u0000\u009b\u202e\u2066\u200b\ufeff\u{e0041}\r'),
      '\\x1b]52;c;x\\x07\\x00\\x9b\\u{202e}\\u{2066}\\u{200b}\\u{feff}\\u{e0041}\\x0d',
    );
    assert.equal(sanitize('abcdef', 3), 'abc…');
    assert.equal(sanitizeLine('  two\r\n lines\u2028x '), '  two\\x0d\\n lines\\u{2028}x ');
  });

  test('squash messages list the oldest first, and not without end', () => {
    assert.equal(squashText('blue', []), 'warren: blue\n');
    assert.equal(squashText('blue', ['second', 'first']), 'warren: blue\n\n- first\n- second\n');
    const many = squashText(
      'blue',
      Array.from({ length: 101 }, (_, n) => `c${n}`),
    );
    assert.equal(many.split('\n').length, 2 + 1 + 100 + 1);
    assert.match(many, /^warren: blue\n\n- …\n- c99\n/);
  });

  test('versions of git', () => {
    for (const version of [
      'git version 2.32.0',
      'git version 2.39.5 (Apple Git-154)',
      'git version 3.0',
      'git version 2.50.1.windows.1',
    ])
      assert.ok(isNewEnough(version));
    for (const version of ['git version 2.31.9', 'git version 1.9', 'nonsense'])
      assert.ok(!isNewEnough(version));
  });

  test('files that look like secrets', () => {
    for (const path of [
      '.env',
      'a/.env',
      '.env.local',
      '.ENV',
      '.envrc',
      'prod.env',
      '.env.production.local',
    ])
      assert.ok(isEnvFile(path), path);
    for (const path of [
      '.env.example',
      '.env.sample',
      'env',
      'src/env.ts',
      '.environment',
      '.env.template',
      '.env.dist',
      'env/x',
    ])
      assert.ok(!isEnvFile(path), path);
  });
});

describe('unfetched', () => {
  const status = { head: 'b'.repeat(40), changesTotal: 0, changes: [] };
  test('nothing, commits, files, both', () => {
    assert.equal(unfetched(status, status.head).summary, null);
    assert.deepEqual(unfetched(status, 'a'.repeat(40)), {
      commits: true,
      changes: 0,
      summary: 'commits that were not fetched',
    });
    assert.equal(unfetched(status, null).commits, true);
    assert.equal(unfetched({ ...status, head: null }, null).summary, null);
    const files = { ...status, changesTotal: 1, changes: [{ status: '??', path: 'x' }] };
    assert.equal(unfetched(files, status.head).summary, '1 file with uncommitted changes');
    assert.equal(
      unfetched({ ...files, changesTotal: 7 }, null).summary,
      'commits that were not fetched and 7 files with uncommitted changes',
    );
  });
});

describe('diffTrees', () => {
  const row = (mode: string, name: string, id: string): TreeRow => ({
    mode: mode.padStart(6, '0'),
    name,
    id,
  });
  const bounds = { rows: 100, pathBytes: 50, totalPathBytes: 1000 };
  const diff = (trees: Record<string, TreeRow[]>, before: string | null, after: string, limits = bounds) =>
    diffTrees(async (id) => trees[id]!, before, after, limits);

  test('added, modified, deleted, type and mode changes, file against folder', async () => {
    const trees = {
      old: [
        row('100644', 'gone', 'g'),
        row('100644', 'mode', 'm'),
        row('40000', 'same', 's'),
        row('100644', 'text', 't1'),
        row('100644', 'type', 'y'),
        row('40000', 'wasdir', 'd'),
      ],
      new: [
        row('100755', 'mode', 'm'),
        row('40000', 'new', 'd'),
        row('40000', 'same', 's'),
        row('100664', 'text', 't2'),
        row('120000', 'type', 'y'),
        row('160000', 'wasdir', 'c'),
      ],
      d: [row('100644', 'f', 'f')],
    };
    const rows = (await diff(trees, 'old', 'new')).map(
      (c) => `${c.status} ${c.oldMode} ${c.newMode} ${c.path}`,
    );
    assert.deepEqual(rows, [
      'D 100644 000000 gone',
      'M 100644 100755 mode',
      'A 000000 100644 new/f',
      'M 100644 100644 text',
      'T 100644 120000 type',
      'A 000000 160000 wasdir',
      'D 100644 000000 wasdir/f',
    ]);
    assert.deepEqual(await diff(trees, 'new', 'new'), []);
    assert.equal((await diff(trees, null, 'd'))[0]?.path, 'f');
  });

  test('a tree that holds itself many times over ends at the limit', async () => {
    const trees = { a: Array.from({ length: 10 }, (_, n) => row('40000', String(n), 'a')) };
    await assert.rejects(diff(trees, null, 'a'), { code: 'repo.handback-too-large', message: /files/ });
    await assert.rejects(diff({ a: [row('40000', 'long', 'a')] }, null, 'a'), {
      message: /a path has 54 bytes/,
    });
    await assert.rejects(diff(trees, null, 'a', { ...bounds, totalPathBytes: 20 }), {
      message: /list of files/,
    });
  });

  test('parseTree takes what is whole and refuses the rest', () => {
    const id = Buffer.alloc(20, 7);
    const body = Buffer.concat([Buffer.from('100644 a\0'), id, Buffer.from('40000 ü b\0'), id]);
    assert.deepEqual(
      [...parseTree(body, 20)].map((r) => [r.mode, Buffer.from(r.name, 'latin1').toString()]),
      [
        ['100644', 'a'],
        ['040000', 'ü b'],
      ],
    );
    for (let cut = 1; cut < body.length; cut++) {
      if (cut === 29) continue;
      assert.throws(() => [...parseTree(body.subarray(0, cut), 20)], { code: 'repo.handback-rejected' });
    }
  });

  test('folders that look like a bare repository', () => {
    assert.deepEqual(
      bareRepositoryCandidates([
        change('x/HEAD'),
        change('objects/a'),
        change('y/refs/heads/m'),
        change('src/a'),
      ]),
      ['x', '', 'y'],
    );
    assert.deepEqual(bareRepositoryCandidates([change('x/HEAD', { status: 'D' })]), []);
  });
});
