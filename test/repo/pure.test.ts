// The decisions of the repo room that need no git: risks, names, symlinks, printable text, what is unfetched.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sanitize, sanitizeLine } from '../../src/protocol/sanitize.ts';
import { bareRepositoryCandidates, type Change } from '../../src/repo/changes.ts';
import { isEnvFile } from '../../src/repo/env-file.ts';
import { isNewEnough } from '../../src/repo/git-version.ts';
import { parseHostCommands } from '../../src/repo/host-commands.ts';
import { risks, unfetched } from '../../src/repo/index.ts';
import { handbackRef } from '../../src/repo/ref-name.ts';
import { squashText } from '../../src/repo/squash-message.ts';
import { escapes } from '../../src/repo/symlink.ts';
import { diffTrees } from '../../src/repo/tree-diff.ts';
import { parseTree, type TreeRow } from '../../src/repo/tree-reader.ts';

const change = (path: string, more: Partial<Change> = {}): Change => ({
  status: 'M',
  oldMode: '100644',
  newMode: '100644',
  oldId: '1'.repeat(40),
  newId: '2'.repeat(40),
  path,
  ...more,
});
const kinds = (path: string) => risks([change(path)]).map((risk) => risk.kind);

describe('risks', () => {
  const named: Record<string, string[]> = {
    hook: [
      '.husky/pre-commit',
      'web/.husky/_/husky.sh',
      '.pre-commit-config.yaml',
      '.pre-commit-hooks.yaml',
      'lefthook.yml',
      '.lefthook.toml',
      'lefthook-local.yml',
      '.githooks/post-checkout',
      '.lintstagedrc.json',
    ],
    ci: [
      '.github/workflows/ci.yml',
      '.github/actions/x/run.sh',
      'action.yml',
      '.gitlab-ci.yml',
      '.gitlab/ci/x.yml',
      '.circleci/config.yml',
      'Jenkinsfile',
      '.travis.yml',
      'azure-pipelines.yml',
      '.buildkite/pipeline.yml',
      '.forgejo/workflows/x.yml',
    ],
    editor: [
      '.vscode/tasks.json',
      '.vscode/launch.json',
      '.vscode/settings.json',
      'a/.VSCODE/Tasks.JSON',
      '.idea/runConfigurations/x.xml',
      '.run/App.run.xml',
      'x.code-workspace',
      '.exrc',
      '.dir-locals.el',
    ],
    shell: [
      '.envrc',
      'sub/.envrc',
      '.mise.toml',
      'mise.local.toml',
      '.config/mise/config.toml',
      '.tool-versions',
    ],
    build: [
      'Makefile',
      'GNUmakefile',
      'lib/makefile',
      'rules.mk',
      'justfile',
      '.justfile',
      'build.rs',
      'setup.py',
      'tests/conftest.py',
      'CMakeLists.txt',
      'build.gradle.kts',
      'gradlew',
      'flake.nix',
      'Rakefile',
      'x/evil.pth',
      'gradle/wrapper/gradle-wrapper.properties',
    ],
    package: [
      '.npmrc',
      'a/.yarnrc.yml',
      '.yarn/releases/yarn.cjs',
      '.cargo/config.toml',
      '.cargo/config',
      '.pnpmfile.cjs',
      'pip.conf',
    ],
    git: ['.gitattributes', 'sub/.gitattributes', '.gitmodules', '.lfsconfig'],
    container: [
      'Dockerfile',
      'docker/Dockerfile.dev',
      'compose.yaml',
      'docker-compose.override.yml',
      '.devcontainer/devcontainer.json',
      '.devcontainer.json',
      'warren.json',
    ],
    agent: [
      '.claude/settings.json',
      '.mcp.json',
      '.cursor/mcp.json',
      '.cursorrules',
      'AGENTS.md',
      'pkg/CLAUDE.md',
      'GEMINI.md',
      '.github/copilot-instructions.md',
      '.aider.conf.yml',
    ],
  };
  for (const [kind, paths] of Object.entries(named)) {
    test(`names ${kind} files`, () => {
      for (const path of paths) assert.deepEqual(kinds(path), [kind], path);
    });
  }

  test('says nothing about ordinary files', () => {
    for (const path of [
      'src/a.c',
      'README.md',
      'docs/makefile-guide.md',
      'husky/x',
      'vscode/tasks.json',
      'src/setup.pyx',
      'agents.mdx',
      'claude/x.ts',
      'actions/x.ts',
      'src/env.ts',
    ]) {
      assert.deepEqual(kinds(path), [], path);
    }
  });

  test('a deletion is none; a new executable is one; a name wins over the bit', () => {
    assert.deepEqual(risks([change('Makefile', { status: 'D', newMode: '000000' })]), []);
    assert.deepEqual(
      risks([change('bin/x', { newMode: '100755' })]).map((r) => r.kind),
      ['executable'],
    );
    assert.deepEqual(risks([change('bin/x', { oldMode: '100755', newMode: '100755' })]), []);
    assert.deepEqual(
      risks([change('gradlew', { status: 'A', oldMode: '000000', newMode: '100755' })]).map((r) => r.kind),
      ['build'],
    );
  });

  test('package.json counts when what it runs changed', () => {
    const of = (before: string | null, after: string | null) =>
      risks([change('web/package.json')], { contents: new Map([['web/package.json', { before, after }]]) })
        .length;
    assert.equal(
      of('{"scripts":{"a":"1","b":"2"},"version":"1"}', '{"version":"2","scripts":{"b":"2","a":"1"}}'),
      0,
    );
    assert.equal(of('{"scripts":{"a":"1"}}', '{"scripts":{"a":"2"}}'), 1);
    assert.equal(of('{}', '{"scripts":{"postinstall":"x"}}'), 1);
    assert.equal(of('{}', '{"lint-staged":{"*":"x"}}'), 1);
    assert.equal(of(null, '{"name":"new"}'), 1, 'not known before: look at it');
    assert.equal(of('{"scripts":{}}', 'not json'), 1);
    assert.equal(of('not json', 'not json'), 1);
    assert.equal(risks([change('package.json')]).length, 1, 'no content at hand: look at it');
    assert.equal(of('{"__proto__":{"scripts":{}}}', '{"__proto__":{"scripts":{"x":"y"}}}'), 0);
  });

  test('a folder that is a symlink or a submodule counts for what it would hold', () => {
    for (const newMode of ['120000', '160000']) {
      const of = (path: string) => risks([change(path, { newMode })]).map((risk) => risk.kind);
      assert.deepEqual(
        [of('.husky'), of('.github'), of('.vscode'), of('.cargo')],
        [['hook'], ['ci'], ['editor'], ['package']],
      );
    }
    assert.deepEqual(
      risks([change('vendor/x', { newMode: '160000' })]).map((risk) => risk.kind),
      ['submodule'],
    );
    const escaping = new Set(['out']);
    assert.deepEqual(
      risks([change('out', { newMode: '120000' })], { escaping }).map((risk) => risk.kind),
      ['symlink'],
    );
    assert.deepEqual(
      risks([], { embedded: ['deep/bare'] }).map((risk) => [risk.kind, risk.path]),
      [['repository', 'deep/bare']],
    );
  });

  test('what the user’s own configuration runs from the working tree', () => {
    const config =
      'core.hookspath\n./tools/hooks/\0filter.x.smudge\nsh "tools/smudge.sh" --x %f\0alias.go\n!/home/me/repo/bin/go.sh\0core.editor\nvim';
    const commands = parseHostCommands(config, '/home/me/repo');
    const of = (path: string) => risks([change(path)], { commands }).map((risk) => risk.kind);
    for (const path of ['tools/hooks/pre-push', 'tools/smudge.sh', 'bin/go.sh'])
      assert.deepEqual(of(path), ['hook'], path);
    for (const path of ['tools/other.sh', 'home/me/repo/bin/go.sh', 'x'])
      assert.deepEqual(of(path), [], path);
    assert.equal(parseHostCommands('core.hookspath\n/etc/hooks\0', '/r').hooksPath, null);
  });

  test('a flood of one kind does not hide another', () => {
    const many = Array.from({ length: 500 }, (_, n) => change(`bin/${n}`, { newMode: '100755' }));
    const found = risks([...many, change('Makefile')]);
    assert.equal(found.length, 202);
    assert.deepEqual(found.at(-1), { path: '…', kind: 'executable', why: 'and 300 more of this kind' });
    assert.ok(found.some((risk) => risk.path === 'Makefile'));
  });
});

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
