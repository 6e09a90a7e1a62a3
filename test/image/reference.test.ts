// Which texts name an image, and which one.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chooseEnvironment, formatReference, isLoopbackRegistry } from '../../src/environment/index.ts';
import { parseReference } from '../../src/environment/reference.ts';

const DIGEST = `sha256:${'a1'.repeat(32)}`;

describe('a reference', () => {
  for (const [text, canonical] of [
    ['debian', 'docker.io/library/debian:latest'],
    ['debian:bookworm', 'docker.io/library/debian:bookworm'],
    ['library/debian', 'docker.io/library/debian:latest'],
    ['ann/tool:1.0_x-Y', 'docker.io/ann/tool:1.0_x-Y'],
    ['docker.io/debian', 'docker.io/library/debian:latest'],
    ['index.docker.io/library/debian', 'docker.io/library/debian:latest'],
    ['ghcr.io/a/b/c:v1', 'ghcr.io/a/b/c:v1'],
    ['localhost/x', 'localhost/x:latest'],
    ['localhost:5000/x', 'localhost:5000/x:latest'],
    ['localhost:5000/x:5000', 'localhost:5000/x:5000'],
    ['[::1]:5000/x', '[::1]:5000/x:latest'],
    ['Example.COM/x', 'example.com/x:latest'],
    [`x@${DIGEST}`, `docker.io/library/x@${DIGEST}`],
    [`quay.io/x/y:tag@${DIGEST}`, `quay.io/x/y:tag@${DIGEST}`],
    ['a.b/c__d/e-f/g--h.i_j', 'a.b/c__d/e-f/g--h.i_j:latest'],
  ] as const) {
    it(`${text} is ${canonical}`, () => {
      assert.equal(formatReference(parseReference(text)), canonical);
      assert.equal(formatReference(parseReference(canonical)), canonical);
    });
  }

  for (const text of [
    '',
    ':tag',
    'Debian',
    'a//b',
    'a/',
    'a/../b',
    'a:',
    'a:b:c',
    'a b',
    'a\n',
    'a@sha256:123',
    'a@md5:0123',
    `a@${DIGEST}@${DIGEST}`,
    `a@${DIGEST.toUpperCase()}`,
    'a/b?c',
    'a/b#c',
    'a/%2e%2e/b',
    'http://host/a',
    'user@host/a',
    'host:99999/a',
    '-a.b/c',
    'a.b:5000:6000/c',
    'a___b',
    `a:${'t'.repeat(129)}`,
    'a'.repeat(256),
    'ä',
  ]) {
    it(`${JSON.stringify(text.slice(0, 40))} is none`, () =>
      assert.throws(() => parseReference(text), {
        code: 'usage.environment',
        message: /^cannot use the image/,
      }));
  }

  it('is asked over plain HTTP on this computer only', () => {
    for (const name of [
      'localhost',
      'localhost:5000',
      '127.0.0.1:1',
      '127.8.8.8',
      '[::1]:5000',
      'x.localhost',
    ])
      assert.equal(isLoopbackRegistry(name), true, name);
    for (const name of [
      'localhost.example.com',
      '127.0.0.1.nip.io',
      '10.0.0.1:5000',
      'docker.io',
      '128.0.0.1',
    ])
      assert.equal(isLoopbackRegistry(name), false, name);
  });
});

describe('an environment', () => {
  it('is a path, an image or the built-in one, by its first character', () => {
    assert.equal(chooseEnvironment(null).kind, 'default');
    assert.deepEqual(chooseEnvironment('/x/y.tar'), { kind: 'files', path: '/x/y.tar' });
    assert.equal(chooseEnvironment('x/y.tar').kind, 'image');
    assert.throws(() => chooseEnvironment('/x\0y'), { code: 'usage.environment' });
    assert.throws(() => chooseEnvironment('./x'), { code: 'usage.environment' });
  });
});
