// What a denial proposes to paste: it is taken, it allows what was asked, and it leads no further than it has to.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hostText } from '../../src/egress/names/canonical-host.ts';
import { privately } from '../../src/egress/policy/allow-with.ts';
import { createPolicy } from '../../src/egress/policy/judge.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';
import type { Denied, RequestHead, RequestVerdict } from '../../src/egress/policy/verdict.ts';
import { ask, policy, ruleset, to } from './policy-ask.ts';
import { entryFrom, proposed } from './typed-words.ts';

const head = (method: string, path: string): RequestHead => ({ method, path, headers: [] });
const denied = (verdict: RequestVerdict): Denied => {
  assert.ok(verdict.decision === 'deny', JSON.stringify(verdict));
  return verdict;
};
/** As the words would be pasted: for the sandbox, beside what is in force. */
const pasted = (words: string, beside: unknown[] = []) =>
  createPolicy([
    parsePolicy({ egress: { allow: [entryFrom(words)] } }, { source: 'sandbox', file: 'this rule' }),
    ruleset({ allow: beside }),
  ]);

const HOSTS = [
  ...[
    'api.example',
    'example.co.uk',
    'com',
    'co.uk',
    'host.warren.internal',
    'localhost',
    'xn--bcher-kva.example',
  ],
  ...[
    '10.0.0.1',
    '192.0.2.2',
    '203.0.113.9',
    '198.18.0.5',
    '100.64.0.1',
    '8.8.8.8',
    '127.0.0.1',
    '127.9.9.9',
  ],
  ...['0.0.0.0', '169.254.169.254', '224.0.0.1', '255.255.255.255', '[2606:4700::1]', '[fd00::1]', '[::1]'],
];
const PORTS = [80, 443, 8080];
const METHODS = ['GET', 'POST', 'TRACE', 'LOCK-IT'];
const PATHS = [
  ...['/', '/x', '/v1/../x', '/v1//x', '/v1/a%2fb', '/a;b', '/a*b', "/a'b", '/a b', '/$(id)', '/`id`', '/!x'],
  ...['/x?a=1', '/%c3%a9', '/@scope%2fname', `/${'a'.repeat(300)}`, '/~u', '/a/*', '*', '', '/\u001b[2J'],
  ...['/a/b.git/info/refs?service=git-upload-pack', '/a/b.git/info/refs?service=git-receive-pack'],
  ...['/a/b.git/git-upload-pack', '/a/b.git/git-receive-pack', '/info/refs?service=git-upload-pack'],
];
const BESIDE: (null | object)[] = [
  null,
  { methods: ['PUT'] },
  { paths: ['/only/here'] },
  { methods: ['HEAD'], paths: ['/only/*'] },
  { git: { fetch: true } },
  { git: { fetch: false, push: 'refs/heads/other' }, paths: ['/a/*'] },
];

describe('what would allow it', () => {
  it('is taken as it stands, and then allows that very request', () => {
    let count = 0;
    for (const host of HOSTS)
      for (const port of PORTS)
        for (const protocol of ['http', 'https'] as const)
          for (const limits of BESIDE)
            for (const method of METHODS)
              for (const path of PATHS) {
                const target = to(host, port);
                const beside =
                  limits &&
                  host !== 'host.warren.internal' &&
                  !/^(?:localhost|co.*|127.*|.*::1]|0.*|169.*|2[25].*)$/.test(host)
                    ? [{ host, ports: [port], protocol, allowPrivate: true, ...limits }]
                    : [];
                const before = policy({ allow: beside });
                const verdict = before.judgeRequest(target, protocol, head(method, path));
                if (verdict.decision === 'allow') continue;
                const words = proposed(denied(verdict));
                if (words === null) continue;
                count++;
                const what = `${method} ${protocol} ${hostText(target.host)}:${port} ${path}: ${words}`;
                assert.match(words, /^(?:'[^'\u0000-\u001f]*'|[A-Za-z0-9._:/@%+,= -]+)+$/, what);
                const after = pasted(words, beside);
                if (host === 'host.warren.internal')
                  assert.equal(after.judgeFlow(target).decision, 'allow', what);
                else
                  assert.equal(
                    after.judgeRequest(target, protocol, head(method, path)).decision,
                    'allow',
                    what,
                  );
              }
    assert.ok(count > 1000, String(count));
  });

  it('is as narrow as the rule that nearly allowed it, or is not told', () => {
    const near = policy({ allow: [{ host: 'api.example', methods: ['GET'], paths: ['/v1/*'] }] });
    const told = (method: string, path: string) => denied(ask(near, method, path));
    assert.equal(proposed(told('POST', '/v1/x?q')), 'api.example --method POST --path /v1/x');
    assert.equal(proposed(told('GET', '/a$b')), "api.example --method GET --path '/a$b'");
    for (const [path, why] of [
      ['/v1/../x', /dot segment/],
      ['/v1//x', /empty segment/],
      ['/v1/a%2fb', /separator \(%2f\)/],
      ['/v1/a;b', /it has a ;/],
      ['/v1/*', /\*/],
      ["/v1/a'b", /a quote/],
    ] as const) {
      const { allowWith, reason } = told('POST', path);
      assert.equal(allowWith, null, path);
      assert.match(reason, /no rule can name just this: /, path);
      assert.match(reason, why, path);
    }
  });

  it('is nothing for a suffix under which anybody has a name, nor for https at port 80', () => {
    const none = policy({});
    for (const host of ['com', 'co.uk']) assert.equal(denied(ask(none, 'GET', '/', host)).allowWith, null);
    assert.equal(denied(none.judgeRequest(to('a.example', 80), 'https', head('GET', '/'))).allowWith, null);
  });

  it('says that an address is private', () => {
    const none = policy({});
    for (const [host, port, protocol, words] of [
      ['10.0.0.1', 443, 'https', '10.0.0.1 --private'],
      ['10.0.0.1', 8080, 'http', '10.0.0.1:8080 --http --private'],
      ['192.0.2.2', 443, 'https', '192.0.2.2 --private'],
      ['203.0.113.9', 80, 'http', '203.0.113.9:80 --private'],
      ['8.8.8.8', 443, 'https', '8.8.8.8'],
      ['[2606:4700::1]', 8443, 'https', "'[2606:4700::1]:8443'"],
    ] as const)
      assert.equal(proposed(denied(none.judgeRequest(to(host, port), protocol, head('GET', '/')))), words);
  });

  it('is about git alone where git was denied', () => {
    const push = '/acme/app.git/info/refs?service=git-receive-pack';
    const fetch = '/acme/app.git/info/refs?service=git-upload-pack';
    const fetching = policy({ profiles: ['git-hosts'] });
    for (const by of [fetching, policy({})]) {
      const words = proposed(denied(ask(by, 'GET', push, 'github.com')))!;
      assert.equal(words, "github.com --path '/acme/app.git/*' --git-push 'refs/heads/warren/*'");
      const after = pasted(words);
      const sent = ask(after, 'POST', '/acme/app.git/git-receive-pack', 'github.com');
      assert.ok(sent.decision === 'allow');
      assert.deepEqual(sent.gitPush, { refs: 'refs/heads/warren/*' });
      assert.equal(
        ask(after, 'GET', '/acme/other.git/info/refs?service=git-receive-pack', 'github.com').decision,
        'deny',
      );
      assert.equal(ask(after, 'GET', fetch, 'github.com').decision, 'deny');
    }
    const asked = denied(ask(policy({}), 'GET', fetch, 'git.example'));
    assert.equal(proposed(asked), "git.example --path '/acme/app.git/*' --git-fetch");
    assert.deepEqual(asked.allowWith, {
      host: 'git.example',
      paths: ['/acme/app.git/*'],
      git: { fetch: true },
    });
  });
});

describe('what would let a name lead to private addresses', () => {
  const target = to('db.example');

  it('counts beside a rule that does not say so, wherever that stands', () => {
    for (const plain of ['db.example', { host: 'db.example', methods: ['GET', 'POST'], paths: ['/ms'] }])
      for (const order of [0, 1]) {
        const before = ask(policy({ allow: [plain] }), 'POST', '/ms', 'db.example');
        assert.ok(before.decision === 'allow' && !before.allowPrivate);
        const entry = privately(target, 'https', head('POST', '/ms'), before.onlyPaths === true)!;
        const allow = order ? [entry, plain] : [plain, entry];
        const after = ask(policy({ allow }), 'POST', '/ms', 'db.example');
        assert.ok(after.decision === 'allow' && after.allowPrivate, JSON.stringify(entry));
      }
  });

  it('counts for connections that nobody looks into', () => {
    const entry = { host: 'db.example', ports: [5432], protocol: 'tcp' };
    const by = policy({ allow: [entry, { ...entry, allowPrivate: true }] });
    const verdict = by.judgeConnection(to('db.example', 5432), 'tcp');
    assert.ok(verdict.decision === 'allow' && verdict.allowPrivate);
    const exact = policy({ allow: [{ cidr: '10.0.0.0/8', allowPrivate: true }, '10.1.2.3'] });
    const to10 = exact.judgeRequest(to('10.1.2.3'), 'https', head('GET', '/'));
    assert.ok(to10.decision === 'allow' && to10.exactAddress === '10.1.2.3');
  });

  it('keeps the limits of the rule that let it through', () => {
    const words = (method: string, path: string, onlyPaths: boolean) =>
      proposed({ allowWith: privately(target, 'https', head(method, path), onlyPaths) });
    assert.equal(words('POST', '/ms?q', true), 'db.example --method POST --path /ms --private');
    assert.equal(words('POST', '/ms', false), 'db.example --method POST --private');
    assert.equal(
      words('POST', '/a.git/git-upload-pack', false),
      "db.example --path '/a.git/*' --git-fetch --private",
    );
    assert.equal(words('LOCK-IT', '/', false), null);
  });
});
