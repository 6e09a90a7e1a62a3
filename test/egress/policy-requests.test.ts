// The judge of requests: paths, methods, registries (NE 21), and the patterns of paths.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ambiguity, matchesPath } from '../../src/egress/policy/path.ts';
import { ask, policy, reason } from './policy-ask.ts';

describe('requests', () => {
  it('are judged on the path that is sent (path rules)', () => {
    const by = policy({ allow: [{ host: 'api.example', paths: ['/repos/me/*', '/user'] }] });
    for (const path of [
      '/repos/me/x',
      '/repos/me/',
      '/repos/me/x/y?z=/../',
      '/user',
      '/user?a=%2e%2e',
      '/repos/me/%C3%A9',
    ])
      assert.equal(ask(by, 'GET', path).decision, 'allow', path);
    for (const path of ['/', '/repos/me', '/repos/you/x', '/users', '/user/', '/Repos/me/x', '/repos/meh/x'])
      assert.match(reason(ask(by, 'GET', path)), /only \/repos\/me\/\*, \/user may be/, path);
    for (const path of [
      '/repos/me/../other',
      '/repos/me/..',
      '/repos/me/./x',
      '/repos/me/%2e%2e/other',
      '/repos/me/.%2E/other',
      '/repos/me//x',
      '//repos/me/x',
      '/repos/me/..\\other',
      '/repos/me\\x',
      '/repos/me/x%2f..%2fy',
      '/repos/me/%5c',
      '/repos/me/;x',
      '/repos/me/..;/other',
      '/repos/me/%3bx',
      '/repos/me/%252e%252e/other',
      '/repos/me/%00',
      '/repos/me/%0d%0a',
      '/repos/me/\u0000',
      '/repos/me/\r\nx',
      '/repos/me/é',
      '/repos/me/%zz',
      '/repos/me/%',
      '/repos/me/%4',
      '/repos/me/#x',
      '/repos/%6de/x',
      'repos/me/x',
      'https://api.example/repos/me/x',
      '*',
      '',
      `/repos/me/${'x'.repeat(20_000)}`,
    ]) {
      const said = reason(ask(by, 'GET', path));
      assert.match(said, /the path is ambiguous: it /, path);
      assert.doesNotMatch(said, /[\x00-\x1f\x7f]/);
    }
  });

  it('with odd paths pass where no rule is about paths', () => {
    const by = policy({ allow: ['api.example', { host: 'api.example', paths: ['/a'] }] });
    for (const path of ['/@scope%2fname', '/a//b', '/x;y', '/a/../b'])
      assert.equal(ask(by, 'GET', path).decision, 'allow');
  });

  it('lose method overrides where a rule is about methods', () => {
    const overrides = ['x-http-method-override', 'x-http-method', 'x-method-override'];
    for (const [entry, expected] of [
      [{ host: 'api.example', methods: ['GET', 'POST'] }, overrides],
      [{ host: 'api.example', registry: 'read' }, overrides],
      [{ host: 'api.example', methods: ['GET'], stripHeaders: [] }, []],
      [{ host: 'api.example', stripHeaders: ['X-Custom'] }, ['x-custom']],
      ['api.example', []],
    ] as const) {
      const verdict = ask(policy({ allow: [entry] }), 'GET', '/');
      assert.ok(verdict.decision === 'allow');
      assert.deepEqual(verdict.stripHeaders, expected);
    }
    assert.equal(
      ask(policy({ allow: [{ host: 'api.example', methods: ['GET'] }] }), 'get', '/').decision,
      'deny',
    );
  });

  it('to registries read and do not publish', () => {
    const by = policy({ profiles: ['npm', 'pip', 'cargo', 'go'] });
    for (const [host, path] of [
      ['registry.npmjs.org', '/@scope%2fname'],
      ['registry.npmjs.org', '/left-pad/-/left-pad-1.3.0.tgz'],
      ['pypi.org', '/simple/requests/'],
      ['files.pythonhosted.org', '/packages/ab/cd/x.whl'],
      ['index.crates.io', '/se/rd/serde'],
      ['crates.io', '/api/v1/crates/serde/1.0.0/download'],
      ['proxy.golang.org', '/golang.org/x/text/@v/list'],
    ] as const)
      assert.equal(ask(by, 'GET', path, host).decision, 'allow', host + path);
    for (const [method, host, path] of [
      ['PUT', 'registry.npmjs.org', '/my-package'],
      ['DELETE', 'registry.npmjs.org', '/my-package/-rev/1'],
      ['POST', 'registry.npmjs.org', '/-/v1/login'],
      ['POST', 'upload.pypi.org', '/legacy/'],
      ['POST', 'pypi.org', '/legacy/'],
      ['PUT', 'crates.io', '/api/v1/crates/new'],
      ['GET', 'crates.io', '/api/v1/me'],
      ['GET', 'storage.googleapis.com', '/anybodys-bucket/x'],
    ] as const)
      assert.equal(ask(by, method, path, host).decision, 'deny', method + host + path);
    assert.match(
      reason(ask(by, 'PUT', '/p', 'registry.npmjs.org')),
      /only GET, HEAD may be \(rule profile:npm\[0\]:registry/,
    );
  });
});

describe('path patterns', () => {
  for (const [pattern, path, expected] of [
    ['/*', '/', true],
    ['/*', '/a/b/c', true],
    ['/a', '/a', true],
    ['/a', '/a/', false],
    ['/a/*', '/a', false],
    ['/a/*', '/a/', true],
    ['/a/*/c', '/a/b/c', true],
    ['/a/*/c', '/a/b/b/c', false],
    ['/a/*/c', '/a//c', true],
    ['/a*b/c', '/axxb/c', true],
    ['/a*b/c', '/ab/c', true],
    ['/a*b/c', '/a/b/c', false],
    ['/ab*ba', '/aba', false],
    ['/*x*x*', '/axbxc', true],
    ['/*x*x*', '/axb', false],
    ['/a/*/d/*', '/a/b/d/e/f', true],
    ['/a.c', '/abc', false],
    ['/(a+)+$', '/aaaa', false],
  ] as const)
    it(`${pattern} ${expected ? 'matches' : 'does not match'} ${path}`, () =>
      assert.equal(matchesPath(pattern, path), expected));
  it('take time in proportion, whatever they hold', () => {
    assert.equal(matchesPath(`/${'*a'.repeat(8)}b`, `/${'a'.repeat(16_000)}`), false);
    assert.equal(ambiguity(`/${'%C3'.repeat(5000)}`), null);
  });
});
