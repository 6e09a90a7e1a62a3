// Values taken out of what an origin answers, whatever it calls it and however it came by them.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { say } from './fake-guest.ts';
import { OTHER, OWN, PLACEHOLDER, post, REAL, setUp } from './secret-origins.ts';

describe('a secret in an answer', () => {
  it('is taken out of what an origin repeats, later too', async () => {
    const { ask } = await setUp({}, (seen, request, response) => {
      response.setHeader('content-type', 'application/json');
      response.setHeader('x-echo', `was ${request.headers['x-key'] ?? REAL}`);
      const text = JSON.stringify({ ...seen.headers, remembered: REAL });
      response.setHeader('content-length', Buffer.byteLength(text));
      response.write(text.slice(0, text.length - 8));
      setImmediate(() => response.end(text.slice(text.length - 8)));
    });
    for (const key of [PLACEHOLDER, 'none']) {
      const answer = await ask(OWN, `GET / HTTP/1.1\r\nX-Key: ${key}`);
      assert.match(answer, / 200 /);
      assert.match(answer, new RegExp(`${PLACEHOLDER}"\\}`));
      assert.ok(!answer.includes(REAL));
    }
  });

  it('is taken out of an answer that had begun before it was put in anywhere', async () => {
    for (const [port, type] of [
      [443, 'text/event-stream'],
      [443, 'application/octet-stream'],
      [80, 'text/event-stream'],
    ] as const) {
      const begun = Promise.withResolvers<void>();
      let told: (text: string) => void = () => {};
      const { ask, door, plainly } = await setUp({}, ({ url, headers }, _, response) => {
        if (url !== '/stream') {
          told(`heard ${headers['x-key']}\n`);
          return void response.end();
        }
        response.setHeader('content-type', type);
        response.write('begun\n');
        told = (text) => response.end(text);
        begun.resolve();
      });
      await plainly();
      const head = 'GET /stream HTTP/1.1\r\nAccept-Encoding: gzip';
      const whole = `${head}\r\nHost: ${OWN}\r\nConnection: close\r\n\r\n`;
      const answer = port === 443 ? ask(OWN, head) : say(await door.openName(OWN, 80), whole);
      await begun.promise;
      await new Promise((resolve) => setTimeout(resolve, 100));
      await ask(OWN, `GET / HTTP/1.1\r\nX-Key: ${PLACEHOLDER}`);
      assert.match(await answer, /begun[\s\S]*heard \S/);
      assert.ok(!(await answer).includes(REAL), `${port} ${type}`);
    }
  });

  it('is taken out of base64, wherever it stands in it', async () => {
    const value = 'The+Real?Value~\u00ff/';
    const { ask } = await setUp({ source: { kind: 'value', value } }, (_, request, response) => {
      const echo = Buffer.from(String(request.headers['x-key']), 'latin1');
      const words = [0, 1, 2, 3, 4].flatMap((before) =>
        (['base64', 'base64url'] as const).map((form) =>
          Buffer.concat([Buffer.alloc(before, 'x'), echo, Buffer.from('tail')]).toString(form),
        ),
      );
      response.setHeader('content-type', request.url === '/text' ? 'text/plain' : 'image/png');
      response.end(words.join(' '));
    });
    for (const path of ['/text', '/picture']) {
      const answer = await ask(OWN, `GET ${path} HTTP/1.1\r\nX-Key: ${PLACEHOLDER}`);
      const words = answer.split('\r\n\r\n')[1]!.split(/[^A-Za-z0-9+/=_-]+/);
      for (const word of words)
        assert.ok(!Buffer.from(word, 'base64').toString().includes(value.slice(2, -2)), word);
      assert.ok(words.length >= 10);
    }
  });

  it('is taken out of what is repeated late, whatever was sent as Basic meanwhile', async () => {
    const late = Promise.withResolvers<void>();
    const { ask } = await setUp({}, async ({ url, headers }, _, response) => {
      if (url === '/late') await late.promise;
      response.setHeader('x-echo', headers.authorization ?? '');
      response.end(JSON.stringify({ got: headers.authorization }));
    });
    const basic = (user: string) =>
      `Authorization: Basic ${Buffer.from(`${user}:${PLACEHOLDER}`).toString('base64')}`;
    const answer = ask(OWN, `GET /late HTTP/1.1\r\n${basic('me')}`);
    for (let nr = 0; nr < 12; nr++) await ask(OWN, `GET / HTTP/1.1\r\n${basic(`user${nr}`)}`);
    late.resolve();
    for (const word of (await answer).split(/[^A-Za-z0-9+/=]+/))
      assert.ok(!Buffer.from(word, 'base64').toString('latin1').includes(REAL), word);
  });

  it('is taken out with a header or a trailer that is named like it', async () => {
    const { ask } = await setUp({ source: { kind: 'value', value: 'The-Real-Value' } }, (_, __, response) => {
      response.writeHead(200, { 'x-the-real-value-x': 'a', trailer: 'x-kept', 'x-kept': 'b' });
      response.write('c');
      response.addTrailers({ 'the-real-value': 'd' });
      response.end();
    });
    const answer = await ask(OWN, `GET / HTTP/1.1\r\nX-Key: ${PLACEHOLDER}`);
    assert.match(answer, /x-kept: b/i);
    assert.doesNotMatch(answer, /the-real-value/i);
  });

  it('is found in what a guest would rather have compressed', async () => {
    const { ask, seen } = await setUp({ body: true }, (one, _, response) => {
      const text = `was ${one.headers['x-key'] ?? one.body}`;
      const isPlain = one.headers['accept-encoding'] === 'identity';
      if (!isPlain) response.setHeader('content-encoding', 'gzip');
      response.end(isPlain ? text : gzipSync(text));
    });
    const streams = ['Grpc-Accept-Encoding', 'connect-accept-encoding', 'A-IM'];
    const asked = ['Accept-Encoding: gzip', 'accept-encoding: br', ...streams.map((name) => `${name}: gzip`)];
    const more = asked.map((line) => `\r\n${line}`).join('');
    const known = post(PLACEHOLDER, 'text/plain', more);
    assert.match(await ask(OWN, known, PLACEHOLDER), new RegExp(`was ${PLACEHOLDER}\r`));
    assert.match(
      await ask(OWN, `GET / HTTP/1.1\r\nX-Key: ${PLACEHOLDER}${more}`),
      new RegExp(`was ${PLACEHOLDER}\r`),
    );
    // It may be kept there, and asked for without anything to put in.
    assert.match(await ask(OWN, `GET / HTTP/1.1\r\nX-Key: ${more}`), /was \r/);
    assert.deepEqual(
      seen.map(({ headers }) => headers['accept-encoding']),
      Array(3).fill('identity'),
    );
    for (const name of streams) assert.ok(seen.every(({ headers }) => !(name.toLowerCase() in headers)));
    const { ask: askOther, seen: bySomeone } = await setUp();
    await askOther(OTHER, `GET / HTTP/1.1${more}`);
    assert.deepEqual(bySomeone[0]!.headers['accept-encoding'], 'gzip, br');
  });

  const types: [string, string | null][] = [
    ['says nothing of its type', null],
    ['calls itself bytes', 'application/octet-stream'],
    ['calls itself a picture', 'image/png'],
    ['calls itself what nobody knows', 'application/x-token'],
  ];
  for (const [what, type] of types)
    it(`is taken out of an answer that ${what}`, async () => {
      const bytes = Buffer.from(`\0\xff ${REAL} and ${REAL}\0`, 'latin1');
      const { ask } = await setUp({}, (_, __, response) => {
        if (type) response.setHeader('content-type', type);
        response.setHeader('content-length', bytes.length);
        response.write(bytes.subarray(0, 9));
        setImmediate(() => response.end(bytes.subarray(9)));
      });
      const answer = await ask(OWN, `GET / HTTP/1.1\r\nX-Key: ${PLACEHOLDER}`);
      assert.ok(!answer.includes(REAL), answer);
      assert.match(answer, /wrn_\w+ and wrn_\w+\0/);
      if (type) assert.match(answer, new RegExp(`content-length: ${bytes.length}\r\n`, 'i'));
      else assert.ok(answer.includes(`${PLACEHOLDER} and ${PLACEHOLDER}\0`));
    });

  it('is taken out far behind the first megabyte, and of a range, with the length that was told', async () => {
    const long = Buffer.alloc(3 * 1024 * 1024, `${'x'.repeat(999)}\n`);
    long.write(REAL, 2_500_000);
    const { ask } = await setUp({}, (seen, _, response) => {
      response.setHeader('content-type', 'text/plain');
      const isRange = seen.url === '/range';
      const body = isRange ? long.subarray(2_499_990, 2_500_030) : long;
      response.writeHead(isRange ? 206 : 200, { 'content-length': body.length });
      response.end(body);
    });
    for (const [path, length] of [
      ['/', long.length],
      ['/range', 40],
    ] as const) {
      const answer = await ask(OWN, `GET ${path} HTTP/1.1\r\nX-Key: ${PLACEHOLDER}`);
      assert.ok(!answer.includes(REAL));
      assert.match(answer, new RegExp(`content-length: ${length}\r\n`, 'i'));
      assert.equal(answer.slice(answer.indexOf('\r\n\r\n') + 4).length, length);
    }
  });

  it('is taken out in the spellings in which it was put in', async () => {
    const value = 'a"&=b/c+d';
    const { ask, seen } = await setUp(
      { query: true, source: { kind: 'value', value } },
      (one, _, response) => {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ url: one.url, authorization: one.headers.authorization, value }));
      },
    );
    const basic = Buffer.from(`me:${PLACEHOLDER}`).toString('base64');
    const answer = await ask(OWN, `GET /?k=${PLACEHOLDER} HTTP/1.1\r\nAuthorization: Basic ${basic}`);
    const told = { url: `/?k=${PLACEHOLDER}`, authorization: `Basic ${basic}`, value: PLACEHOLDER };
    assert.ok(answer.includes(JSON.stringify(told)), answer);
    assert.match(seen[0]!.url, /%22%26%3D/);
  });

  it('when it is short, is left in what is no text: it would be there by chance', async () => {
    const { ask } = await setUp({ source: { kind: 'value', value: 'abc' } }, (seen, _, response) => {
      response.setHeader('content-type', seen.url === '/text' ? 'text/plain' : 'image/png');
      response.end('abc');
    });
    await ask(OWN, `GET / HTTP/1.1\r\nX-Key: ${PLACEHOLDER}`);
    assert.match(await ask(OWN, 'GET / HTTP/1.1'), /\r\nabc(?:\r\n|$)/);
    assert.doesNotMatch(await ask(OWN, 'GET /text HTTP/1.1'), /\nabc/);
  });
});
