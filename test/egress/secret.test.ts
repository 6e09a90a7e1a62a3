// Where secrets are put in and where not, without a network (SE 52, 53, 55, 59, 60).

import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { hostObjection, type SecretBinding, valueObjection } from '../../src/egress/secret/binding.ts';
import { MaskingStream } from '../../src/egress/secret/mask.ts';
import { isPlaceholder, makePlaceholder, shapeFor } from '../../src/egress/secret/placeholder.ts';
import { ReplacingStream } from '../../src/egress/secret/replace.ts';
import { readSource, secretValues } from '../../src/egress/secret/sources.ts';
import { createSecrets } from '../../src/egress/secret/substitute.ts';

const OWN = { host: { kind: 'name', name: 'api.example' }, port: 443 } as const;
const OTHER = { host: { kind: 'name', name: 'other.example' }, port: 443 } as const;
const A = makePlaceholder('wrn_');
const B = makePlaceholder('sk-');

function binding(over: Partial<SecretBinding> = {}): SecretBinding {
  const source = { kind: 'value', value: 'real-a' } as const;
  return { name: 'A', hosts: ['api.example'], placeholder: A, source, query: false, body: false, ...over };
}
const secretsOf = (...bindings: SecretBinding[]) => createSecrets(bindings, secretValues());
const get = (headers: [string, string][], path = '/') => ({ method: 'GET', path, headers });
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

describe('a placeholder', () => {
  it('looks like the real thing, and is never the same', () => {
    assert.equal(shapeFor(['api.github.com'], null), 'ghp_');
    assert.equal(shapeFor(['*.gitlab.com:8443'], null), 'glpat-');
    assert.equal(shapeFor(['evilgithub.com'], null), 'wrn_');
    assert.equal(shapeFor(['api.github.com'], 'x-'), 'x-');
    assert.match(A, /^wrn_[a-z2-7]{32}$/);
    assert.notEqual(A, makePlaceholder('wrn_'));
    assert.ok(isPlaceholder(B));
  });

  it('is replaced in header values and in Basic, at its own host', async () => {
    const secrets = secretsOf(binding());
    const headers: [string, string][] = [
      ['authorization', `Bearer ${A}`],
      ['proxy-auth', basic(`me:${A}`)],
      ['accept', '*/*'],
    ];
    const put = await secrets.substitute(get(headers), OWN, 'https', null);
    assert.deepEqual(put, {
      headers: [
        ['authorization', 'Bearer real-a'],
        ['proxy-auth', basic('me:real-a')],
        ['accept', '*/*'],
      ],
      used: ['A'],
    });
  });

  it('is put in literally, once, and not looked into for another (SE 55)', async () => {
    const value = `$&$1\\1.*[ü${B}`;
    const secrets = secretsOf(
      binding({ source: { kind: 'value', value } }),
      binding({ name: 'B', placeholder: B, source: { kind: 'value', value: 'real-b' } }),
    );
    const put = await secrets.substitute(get([['x', `${A} ${B}`]]), OWN, 'https', null);
    const written = Buffer.from(value).toString('latin1');
    assert.ok('headers' in put);
    assert.deepEqual(put.headers, [['x', `${written} real-b`]]);
    assert.deepEqual(put.used, ['A', 'B']);
  });

  const escaped = `%${A.charCodeAt(0).toString(16)}${A.slice(1)}`;
  const cases: [string, ReturnType<typeof get>, typeof OWN | typeof OTHER, 'http' | 'https'][] = [
    ['in a header, at another host (SE 52)', get([['x', A]]), OTHER, 'https'],
    ['in Basic, at another host', get([['authorization', basic(`${A}:`)]]), OTHER, 'https'],
    ['percent-encoded, at another host', get([], `/?q=${escaped}`), OTHER, 'https'],
    ['in the path, at another host', get([], `/${A}`), OTHER, 'https'],
    ['in the name of a header', get([[A, 'x']]), OTHER, 'https'],
    ['over plain http (SE 53)', get([['x', A]]), OWN, 'http'],
    ['in a query, not opted in', get([], `/?q=${A}`), OWN, 'https'],
    ['in the path, at its host', get([], `/${A}`), OWN, 'https'],
    ['percent-encoded, at its host', get([['x', escaped]]), OWN, 'https'],
    ['nine times', get(Array.from({ length: 9 }, (_, nr) => [`x${nr}`, A])), OWN, 'https'],
  ];
  for (const [what, head, target, protocol] of cases)
    it(`${what}, is a misuse, told without the value`, async () => {
      const put = await secretsOf(binding()).substitute(head, target, protocol, null);
      assert.ok('misuse' in put);
      assert.doesNotMatch(put.misuse, /real-a/);
    });

  it('at another port of its host is a misuse', async () => {
    const put = await secretsOf(binding()).substitute(
      get([['x', A]]),
      { host: OWN.host, port: 8443 },
      'https',
      null,
    );
    assert.ok('misuse' in put);
  });

  it('is a misuse where the rule does not name the secret', async () => {
    assert.ok('misuse' in (await secretsOf(binding()).substitute(get([['x', A]]), OWN, 'https', ['B'])));
    assert.ok('used' in (await secretsOf(binding()).substitute(get([['x', A]]), OWN, 'https', ['A'])));
  });

  it('of a query that was opted in is replaced, escaped', async () => {
    const secrets = secretsOf(binding({ query: true, source: { kind: 'value', value: 'a&b=c' } }));
    const put = await secrets.substitute(get([], `/p?k=${A}&x=1`), OWN, 'https', null);
    assert.ok('path' in put);
    assert.equal(put.path, '/p?k=a%26b%3Dc&x=1');
  });

  it('of a secret that is gone or another sandbox’s is nothing (SE 59)', async () => {
    const secrets = secretsOf(binding());
    const request = get([['x', A]]);
    secrets.use([binding({ source: { kind: 'value', value: 'new' } })]);
    const put = await secrets.substitute(request, OWN, 'https', null);
    assert.ok('used' in put);
    assert.deepEqual(put.headers, [['x', 'new']]);
    secrets.use([]);
    assert.deepEqual(await secrets.substitute(request, OWN, 'https', null), {
      headers: request.headers,
      used: [],
    });
  });

  it('whose secret is removed while its value is read is not replaced (SE 59)', async () => {
    const reading = Promise.withResolvers<string>();
    const secrets = createSecrets([binding()], { valueOf: () => reading.promise, drop() {}, doubt() {} });
    const put = secrets.substitute(get([['x', A]]), OWN, 'https', null);
    secrets.use([]);
    reading.resolve('real-a');
    assert.deepEqual(await put, { missing: 'secret "A" was just changed' });
  });
});

describe('a value', () => {
  it('with line breaks or NUL, empty or long, is never sent (SE 55)', async () => {
    for (const value of ['a\r\nX: y', 'a\nb', 'a\0b', '', 'x'.repeat(8193)]) {
      assert.ok(valueObjection(value));
      const put = await secretsOf(binding({ source: { kind: 'value', value } })).substitute(
        get([['x', A]]),
        OWN,
        'https',
        null,
      );
      assert.ok('missing' in put);
      if (value !== '') assert.ok(!put.missing.includes(value));
    }
    assert.equal(valueObjection('x'.repeat(8192)), null);
  });

  it('may only belong to names (SE 60)', () => {
    for (const host of ['*', '*.com', '10.1.2.3', 'https://a.example', '*.github.io', 'a@b.example', ''])
      assert.ok(hostObjection(host), host);
    for (const host of ['api.github.com', '*.example.com', 'a.example:8443'])
      assert.equal(hostObjection(host), null, host);
  });
});

describe('a source', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'warren-secret-'));
  after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'token');
  await writeFile(file, 'from-file\n', { mode: 0o600 });
  const cmd = (command: string) => readSource({ kind: 'cmd', command, env: { PATH: '/usr/bin:/bin' } });

  it('is a file of its owner alone', async () => {
    assert.equal(await readSource({ kind: 'file', path: file }), 'from-file');
    await symlink(file, join(folder, 'link'));
    await assert.rejects(readSource({ kind: 'file', path: join(folder, 'link') }), /symbolic link/);
    await assert.rejects(readSource({ kind: 'file', path: folder }), /not a regular file/);
    await assert.rejects(readSource({ kind: 'file', path: join(folder, 'none') }), /ENOENT/);
    await chmod(file, 0o640);
    await assert.rejects(readSource({ kind: 'file', path: file }), /chmod 600/);
  });

  it('is a command, which fails readably and without what it printed', async () => {
    assert.equal(await cmd('echo from-cmd'), 'from-cmd');
    await assert.rejects(cmd('echo canary; exit 3'), (error: Error) => {
      assert.match(error.message, /exit code 3/);
      return !error.message.includes('canary');
    });
    await assert.rejects(cmd('head -c 70000 /dev/zero'), /64 KiB/);
    assert.equal(await cmd('cat; echo no-stdin'), 'no-stdin');
  });

  it('is asked once a minute, and again after a 401', async () => {
    let at = 0;
    const values = secretValues(() => at);
    const counter = join(folder, 'count');
    const command = `echo x >> ${counter}; wc -l < ${counter}`;
    const counted = binding({ source: { kind: 'cmd', command, env: { PATH: '/usr/bin:/bin' } } });
    const ask = async () => Number(await values.valueOf(counted));
    assert.deepEqual([await ask(), await ask()], [1, 1]);
    values.drop('A');
    assert.equal(await ask(), 2);
    at = 60_001;
    assert.equal(await ask(), 3);
    // A guest can have it refused as often as it likes.
    values.doubt('A');
    assert.equal(await ask(), 3);
    at += 10_001;
    assert.equal(await ask(), 4);
    at += 10_001;
    values.doubt('A');
    assert.equal(await ask(), 5);
  });

  it('is not asked for without end by a guest whose requests fail for it', async () => {
    let at = 0;
    const values = secretValues(() => at);
    const counter = join(folder, 'failures');
    const command = `echo x >> ${counter}; exit 1`;
    const failing = binding({ source: { kind: 'cmd', command, env: { PATH: '/usr/bin:/bin' } } });
    const times = async () => (await readFile(counter, 'utf8')).length / 2;
    for (let nr = 0; nr < 3; nr++) await assert.rejects(values.valueOf(failing), /exit code 1/);
    assert.equal(await times(), 1);
    at += 10_001;
    await assert.rejects(values.valueOf(failing), /exit code 1/);
    assert.equal(await times(), 2);
    values.drop('A');
    await assert.rejects(values.valueOf(failing), /exit code 1/);
    assert.equal(await times(), 3);
  });

  it('that fails denies the request with the reason', async () => {
    const put = await secretsOf(
      binding({ source: { kind: 'missing', why: 'no variable X was set' } }),
    ).substitute(get([['x', A]]), OWN, 'https', null);
    assert.deepEqual(put, { missing: 'secret "A" cannot be read: no variable X was set' });
  });
});

describe('replacing in a stream', () => {
  const run = async (chunks: string[]) => {
    const stream = new ReplacingStream(() => [
      { find: Buffer.from('aab'), put: () => Buffer.from('1') },
      { find: Buffer.from('bcd'), put: async () => Buffer.from('22') },
    ]);
    for (const chunk of chunks) stream.write(chunk);
    stream.end();
    let text = '';
    for await (const chunk of stream) text += chunk;
    return text;
  };

  it('finds what is split anywhere', async () => {
    const text = 'xaaabcdaabbcdbbcaa';
    for (let at = 0; at <= text.length; at++)
      for (let then = at; then <= text.length; then++)
        assert.equal(await run([text.slice(0, at), text.slice(at, then), text.slice(then)]), 'xa1cd122bbcaa');
  });

  it('holds back only what could be a beginning', async () => {
    const stream = new ReplacingStream(() => [{ find: Buffer.from('token'), put: () => Buffer.from('-') }]);
    stream.write('data: 1\n\n');
    await new Promise((resolve) => stream.once('readable', resolve));
    assert.equal(String(stream.read()), 'data: 1\n\n');
    stream.destroy();
  });

  it('looks at each byte once, however often something is found', async () => {
    const stream = new ReplacingStream(() => [
      { find: Buffer.from('a'), put: () => Buffer.from('b') },
      { find: Buffer.from('aaaaaaaaaaaaaaaac'), put: () => Buffer.from('') },
    ]);
    const fromMs = process.cpuUsage().user;
    stream.end(Buffer.alloc(256 * 1024, 'a'));
    for await (const chunk of stream) assert.ok(!chunk.includes('a'));
    // With a look from each place to the end: a minute.
    assert.ok(process.cpuUsage().user - fromMs < 5_000_000);
  });
});

describe('hiding values in a stream', () => {
  const stream = () =>
    new MaskingStream(() =>
      ['token-1', 'other-22'].map((value) => ({
        find: Buffer.from(value),
        mask: Buffer.alloc(value.length, '*'),
      })),
    );

  it('finds what is split anywhere, keeps every length, and lets go two bytes at most', async () => {
    const text = 'to token-1tok\0other-22other-2token-1t';
    for (let at = 0; at <= text.length; at++)
      for (let then = at; then <= text.length; then++) {
        const hiding = stream();
        const pieces = [text.slice(0, at), text.slice(at, then), text.slice(then)];
        for (const piece of pieces) if (piece !== '') hiding.write(piece);
        hiding.end();
        let out = '';
        for await (const chunk of hiding) out += chunk;
        assert.match(out, /^to (?:t|to)?\*{5,7}tok\0(?:o|ot)?\*{6,8}other-2(?:t|to)?\*{5,7}t$/);
        assert.equal(out.length, text.length);
      }
  });

  it('passes what may be the beginning of one when that is short, and holds it when not', async () => {
    const hiding = stream();
    const next = async (text: string) => {
      hiding.write(text);
      await new Promise((resolve) => setImmediate(resolve));
      return String(hiding.read());
    };
    assert.equal(await next('message to'), 'message to');
    assert.equal(await next('ken-1, a tok'), '*****, a ');
    assert.equal(await next('yo'), 'tokyo');
    hiding.destroy();
  });

  it('changes no bytes of whoever gave them', async () => {
    const given = Buffer.from('a token-1');
    const hiding = stream();
    hiding.end(given);
    for await (const _ of hiding);
    assert.equal(given.toString(), 'a token-1');
  });
});
