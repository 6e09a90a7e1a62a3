// devcontainer.json: found, read, and which image or Dockerfile it names.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  chooseDevcontainer,
  isDevcontainerFile,
  mergeDefinition,
  parseDevcontainer,
  toEnvironment,
} from '../../src/environment/devcontainer/index.ts';
import { cpuMs } from '../measure.ts';
import { read } from './devcontainer-file.ts';

const refused = (value: unknown, why: RegExp) =>
  assert.throws(
    () => read(value),
    (error: Error & { code: string }) => {
      assert.equal(error.code, 'environment.devcontainer');
      assert.match(error.message, why);
      return true;
    },
  );

describe('devcontainer.json is found', () => {
  it('in the order of the specification', () => {
    assert.equal(chooseDevcontainer([]), null);
    const further = ['.devcontainer/a/devcontainer.json'];
    assert.equal(chooseDevcontainer(further), further[0]);
    assert.equal(chooseDevcontainer([...further, '.devcontainer.json']), '.devcontainer.json');
    assert.equal(
      chooseDevcontainer([...further, '.devcontainer.json', '.devcontainer/devcontainer.json']),
      '.devcontainer/devcontainer.json',
    );
  });

  it('or asked for, when there are several', () => {
    const places = ['.devcontainer/b/devcontainer.json', '.devcontainer/a/devcontainer.json'];
    assert.throws(() => chooseDevcontainer(places), {
      code: 'environment.devcontainer',
      remedy: 'name one: --env ./.devcontainer/a/devcontainer.json',
    });
    assert.equal(chooseDevcontainer(['.devcontainer/a/b/devcontainer.json']), null);
  });

  it('by its name', () => {
    for (const path of ['.devcontainer.json', '/r/.devcontainer/devcontainer.json', 'devcontainer.json'])
      assert.ok(isDevcontainerFile(path));
    for (const path of ['x.devcontainer.json', 'devcontainer.jsonc', 'mydevcontainer.json'])
      assert.ok(!isDevcontainerFile(path));
  });
});

describe('devcontainer.json is read', () => {
  it('with comments, trailing commas and words of other tools', () => {
    const said = parseDevcontainer(
      '\uFEFF{ // a comment\n "image": "debian", /* more */ "x-tool": {"a": [1,],}, "customizations": {"vscode": {}}, }',
      'f',
    );
    assert.equal(said.image, 'debian');
  });

  it('or refused with the place and what was expected', () => {
    for (const [text, why] of [
      ['{\n  "image": debian\n}', /^f:2:12: /],
      ['{"image": "a"', /^f:1:14: close brace expected/],
      ['[]', /f:1:1: an object was expected/],
      ['', /^f:1:1: value expected/],
      ['{"image": "a",\n "forwardPorts": ["x"]}', /^f:2:19: forwardPorts\.0: a port was expected/],
      ['{\n"image": "a",\n"postCreateCommand": 5}', /^f:3:22: postCreateCommand: a command was expected/],
      ['{"image": "a", "waitFor": "ready"}', /waitFor: it must name one of the lifecycle commands/],
      ['{"image": "a", "remoteUser": "a b"}', /remoteUser: not a user/],
      ['{"image": "a", "hostRequirements": {"memory": "lots"}}', /a size was expected, such as "8gb"/],
      ['{"image": "a", "workspaceFolder": "here"}', /an absolute path was expected/],
      [
        '{"image": "a",\n"dockerComposeFile": "c.yml"}',
        /^f:2:22: several containers by Docker Compose are not supported/,
      ],
      ['{"image": "a", "build": {"dockerfile": "D"}}', /both named/],
      [`${'['.repeat(70)}`, /more than 64 levels/],
      [`{"image": "${'a'.repeat(1024 * 1024)}"}`, /larger than/],
    ] as const)
      assert.throws(
        () => parseDevcontainer(text, 'f'),
        (error: Error & { code: string; remedy: string }) => {
          assert.equal(error.code, 'environment.devcontainer', text);
          assert.match(error.message, why);
          assert.ok(error.remedy);
          return true;
        },
      );
    refused({ image: 'a', containerEnv: { 'A=B': '1' } }, /containerEnv/);
    refused({ image: 'a', init: '\u001b]0;x\u0007' }, /^(?!.*\u001b).*init/);
    refused({ image: 'a', postCreateCommand: { a: { b: 'c' } } }, /postCreateCommand/);
    refused({ image: 'a', postCreateCommand: 'a\0b' }, /NUL/);
  });
});

describe('a devcontainer.json that is made to be slow or deep', () => {
  it('is refused in a moment', () => {
    const half = 512 * 1024;
    for (const text of [
      '/*',
      '{"a": 1} /* ',
      '"\\'.repeat(half),
      '/*'.repeat(half),
      '\\"'.repeat(half),
      '['.repeat(half),
    ]) {
      const before = cpuMs();
      assert.throws(() => parseDevcontainer(text, 'f'), { code: 'environment.devcontainer' });
      assert.throws(() => mergeDefinition(text, read({ image: 'a' })), { code: 'environment.devcontainer' });
      assert.ok(cpuMs() - before < 3000, text.slice(0, 4));
    }
  });
});

describe('an environment of devcontainer.json', () => {
  const at = '/r/.devcontainer/devcontainer.json';
  it('is an image, or a Dockerfile in the repository', () => {
    assert.deepEqual(toEnvironment(read({ image: 'debian:12' }), at, '/r').kind, 'image');
    assert.deepEqual(
      toEnvironment(
        read({ build: { dockerfile: 'Dockerfile', context: '..', target: 't', args: { A: '1' } } }),
        at,
        '/r',
      ),
      {
        kind: 'dockerfile',
        file: '/r/.devcontainer/Dockerfile',
        context: '/r',
        target: 't',
        args: { A: '1' },
        contexts: {},
      },
    );
    const old = toEnvironment(read({ dockerFile: '../Dockerfile' }), at, '/r');
    assert.equal(old.kind === 'dockerfile' && old.context, '/r');
  });

  it('leads nowhere else', () => {
    for (const build of [
      { dockerfile: '../../x' },
      { dockerfile: '/etc/passwd' },
      { dockerfile: '..' },
      { dockerfile: 'D', context: '../..' },
    ])
      assert.throws(() => toEnvironment(read({ build }), at, '/r'), { code: 'environment.devcontainer' });
    assert.throws(() => toEnvironment(read({}), at, '/r'), /neither an image nor a Dockerfile/);
  });
});
