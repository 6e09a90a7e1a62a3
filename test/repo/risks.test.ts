// Which changes of a hand-back a person is told of before a merge, and why.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseHostCommands } from '../../src/repo/host-commands.ts';
import { risks } from '../../src/repo/index.ts';
import { change } from './change.ts';

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
