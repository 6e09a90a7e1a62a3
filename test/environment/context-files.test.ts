// Which files of a context are seen, which of them a COPY names, and where they go.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ignoreFileNames,
  parseIgnore,
  placeOf,
  readConfig,
  selectSources,
  writeConfig,
} from '../../src/environment/dockerfile/index.ts';

describe('.dockerignore', () => {
  it('is the Dockerfile’s own before the context’s', () => {
    assert.deepEqual(ignoreFileNames('build/Dockerfile.web'), {
      beside: 'build/Dockerfile.web.dockerignore',
      inContext: '.dockerignore',
    });
  });

  it('takes lines as they come: comments, spaces, marks, slashes', () => {
    const { patterns } = parseIgnore('\uFEFFtest1\r\n/test2\n/a/file/here\n\nlast\n# no\n! /inverted/abs\n');
    assert.deepEqual(
      patterns.map(({ text, isException }) => `${isException ? '!' : ''}${text}`),
      ['test1', 'test2', 'a/file/here', 'last', '!inverted/abs'],
    );
    assert.throws(() => parseIgnore('a\n!\n'), {
      code: 'environment.dockerignore',
      message: /^.dockerignore:2: /,
    });
  });

  it('is walked with what was said of the folder above', () => {
    const rules = parseIgnore('*\n!src\nsrc/**/*.log\n!src/keep/a.log\n');
    const folder = rules.judge('src', null);
    assert.equal(folder.ignored, false);
    const inside = rules.judge('src/keep', folder.matched);
    assert.deepEqual(
      ['a.log', 'b.log', 'c'].map((name) => rules.judge(`src/keep/${name}`, inside.matched).ignored),
      [false, true, false],
    );
  });

  it('tells which ignored folders must be entered', () => {
    const rules = parseIgnore('*\n!src/a/b\n!lib/*.js\n');
    const enter = (folder: string) => rules.mayHoldExceptions(folder);
    assert.deepEqual(['src', 'src/a', 'src/x', 'lib', 'docs'].map(enter), [true, true, false, true, false]);
    assert.equal(parseIgnore('*\n!**/x\n').mayHoldExceptions('any/where'), true);
  });

  it('of a hostile pattern takes no longer than others', () => {
    const rules = parseIgnore(`${'*a'.repeat(100)}\n`);
    assert.equal(rules.ignores(`${'a'.repeat(4000)}b`), false);
  });
});

describe('sources of a COPY', () => {
  const listing = ['b', 'a-b', 'a', 'a/z', 'a/b.txt', 'a/c/d.txt', 'x*y'];

  it('are found by name and by wildcard, in the order of a walk', () => {
    assert.deepEqual(selectSources('/a/*', listing), ['a/b.txt', 'a/z']);
    assert.deepEqual(selectSources('/[ab]*', listing), ['a', 'a-b', 'b']);
    assert.deepEqual(selectSources('/*/c/?.txt', listing), ['a/c/d.txt']);
    assert.deepEqual(selectSources('/a/c', ['a/c']), ['a/c']);
    assert.deepEqual(selectSources('/none', listing), []);
    assert.deepEqual(selectSources('/', listing), ['']);
    assert.deepEqual(selectSources('/x\\**', listing), ['x*y']);
  });

  it('go into a folder under their names, and a folder’s contents into its place', () => {
    const file = { path: 'a/b.txt', isFolder: false };
    assert.equal(placeOf('/d/', file, false), '/d/b.txt');
    assert.equal(placeOf('/d', file, true), '/d/b.txt');
    assert.equal(placeOf('/d', file, false), '/d');
    assert.equal(placeOf('/d/', { path: 'a', isFolder: true }, true), '/d');
  });
});

describe('the configuration of an image', () => {
  it('comes back as it was, sorted and without what is empty', () => {
    const json = {
      User: 'u',
      Env: ['B=1', 'A=2'],
      Labels: { b: '1', a: '2' },
      ExposedPorts: { '80/tcp': {} },
      Volumes: { '/v': {} },
      Healthcheck: { Test: ['CMD', 'x'], Interval: 1e9 },
      OnBuild: ['RUN x'],
    };
    assert.deepEqual(writeConfig(readConfig({ ...json, Cmd: null, Domainname: 'x', StopSignal: '' })), json);
    assert.equal(JSON.stringify(writeConfig(readConfig(json))['Labels']), '{"a":"2","b":"1"}');
    assert.deepEqual(writeConfig(readConfig(null)), {});
  });

  it('that is wrong is refused with the place', () => {
    assert.throws(() => readConfig({ Env: ['A', 1] }), {
      code: 'environment.image-config',
      message: /Env\.1/,
    });
  });
});
