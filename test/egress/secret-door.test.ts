// Secrets through a whole door: origins verified over TLS, what they received and what the guest did (SE 50, 52, 53, 59).

import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { after, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { RequestEvent } from '../../src/egress/audit/event.ts';
import type { SecretBinding } from '../../src/egress/secret/binding.ts';
import { makePlaceholder } from '../../src/egress/secret/placeholder.ts';
import { secretValues } from '../../src/egress/secret/sources.ts';
import { createSecrets } from '../../src/egress/secret/substitute.ts';
import { listenOn, openDoor, rawOrigin, say, tlsOrigin } from './fake-guest.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});
const OWN = 'own.example';
const OTHER = 'other.example';
const REAL = 'the-real-value';
const PLACEHOLDER = makePlaceholder('wrn_');

interface Seen {
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
}

async function setUp(
  over: Partial<SecretBinding> = {},
  answer: (seen: Seen, ...rest: Parameters<RequestListener>) => void = (_, __, response) =>
    response.end('ok'),
) {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    try {
      for await (const chunk of request) body += chunk;
    } catch {
      return;
    }
    const one = { url: request.url!, headers: request.headers, body };
    seen.push(one);
    answer(one, request, response);
  });
  const own = await tlsOrigin((socket) => server.emit('connection', socket), ['http/1.1'], OWN);
  const other = await tlsOrigin((socket) => server.emit('connection', socket), ['http/1.1'], OTHER);
  const plain = await rawOrigin((_, received) => {
    seen.push({ url: received(), headers: {}, body: '' });
  });
  const binding: SecretBinding = {
    name: 'TOKEN',
    hosts: [OWN],
    placeholder: PLACEHOLDER,
    source: { kind: 'value', value: REAL },
    query: false,
    body: false,
    ...over,
  };
  const secrets = createSecrets([binding], secretValues());
  const origins: Record<number, number> = { 443: own.port, 80: plain.port };
  const door = await openDoor({
    allow: [{ host: OWN, http: true }, OTHER],
    origins,
    secrets,
  });
  closing.push(own.close, other.close, plain.close, () => door.close());
  /** The dialer knows only ports: it is told beforehand where to. */
  const ask = async (host: string, head: string, body = '') => {
    origins[443] = host === OWN ? own.port : other.port;
    return await say(await door.tls(host), `${head}\r\nHost: ${host}\r\nConnection: close\r\n\r\n${body}`);
  };
  const notices = () => door.ended('notice').map((event) => 'code' in event && event.code);
  /** From now on the same server is reached in plain text. */
  const plainly = async () => {
    origins[80] = await listenOn(server as never);
    closing.push(() => server.close());
  };
  return { door, seen, secrets, binding, ask, notices, plainly };
}

const post = (body: string, type = 'text/plain', more = '') =>
  `POST /p HTTP/1.1\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}${more}`;

describe('a secret through the door', () => {
  it('reaches its own host, once (SE 50)', async () => {
    const { seen, ask, door } = await setUp();
    const basic = Buffer.from(`me:${PLACEHOLDER}`).toString('base64');
    await ask(OWN, `GET / HTTP/1.1\r\nX-Key: ${PLACEHOLDER}\r\nAuthorization: Basic ${basic}`);
    assert.equal(seen.length, 1);
    assert.equal(seen[0]!.headers['x-key'], REAL);
    assert.equal(Buffer.from(seen[0]!.headers.authorization!.slice(6), 'base64').toString(), `me:${REAL}`);
    assert.deepEqual((door.ended('request')[0] as RequestEvent).secrets, ['TOKEN']);
    assert.ok(!JSON.stringify(door.events).includes(REAL));
  });

  it('reaches no other host; what tried is told (SE 50, 52)', async () => {
    const { seen, ask, notices } = await setUp({ query: true, body: true });
    const basic = Buffer.from(`me:${PLACEHOLDER}`).toString('base64');
    const sent = [
      ask(OTHER, `GET / HTTP/1.1\r\nX-Key: ${PLACEHOLDER}`),
      ask(OTHER, `GET / HTTP/1.1\r\nAuthorization: Basic ${basic}`),
      ask(OTHER, `GET /?k=${PLACEHOLDER} HTTP/1.1`),
      ask(OTHER, post(PLACEHOLDER), PLACEHOLDER),
    ];
    for (const answer of await Promise.all(sent)) assert.match(answer, / 403 [\s\S]*does not belong here/);
    assert.deepEqual(seen, []);
    assert.deepEqual(notices(), Array(4).fill('secret-misuse'));
  });

  it('does not travel over plain http (SE 53)', async () => {
    const { seen, door, notices } = await setUp();
    const head = `GET / HTTP/1.1\r\nHost: ${OWN}\r\nX-Key: ${PLACEHOLDER}\r\nConnection: close\r\n\r\n`;
    assert.match(await say(await door.openName(OWN, 80), head), / 403 [\s\S]*only travel over https/);
    assert.ok(seen.every(({ url }) => !url.includes(REAL) && !url.includes(PLACEHOLDER)));
    assert.deepEqual(notices(), ['secret-misuse']);
  });

  it('goes into a small body, in its form and with its length', async () => {
    const { seen, ask } = await setUp({ body: true, source: { kind: 'value', value: 'a"&=b' } });
    const form = `k=${PLACEHOLDER}&x=1`;
    await ask(OWN, post(form, 'application/x-www-form-urlencoded'), form);
    const json = JSON.stringify({ k: PLACEHOLDER });
    await ask(OWN, post(json, 'application/json'), json);
    await ask(OWN, post('nothing'), 'nothing');
    assert.deepEqual(
      seen.map(({ body }) => body),
      ['k=a%22%26%3Db&x=1', '{"k":"a\\"&=b"}', 'nothing'],
    );
    assert.deepEqual(
      seen.map(({ headers, body }) => Number(headers['content-length']) === Buffer.byteLength(body)),
      [true, true, true],
    );
  });

  it('goes into a body that comes in chunks', async () => {
    const { seen, ask, door } = await setUp({ body: true });
    const text = `x${PLACEHOLDER}y`;
    const chunks = [...text].map((letter) => `1\r\n${letter}\r\n`).join('');
    await ask(OWN, 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked', `${chunks}0\r\n\r\n`);
    assert.equal(seen[0]!.body, `x${REAL}y`);
    assert.deepEqual((door.ended('request')[0] as RequestEvent).secrets, ['TOKEN']);
  });

  it('breaks a long body off when it is not for that host', async () => {
    const { seen, ask, door, notices } = await setUp({ body: true });
    const long = `${(60_000).toString(16)}\r\n${'x'.repeat(60_000)}\r\n`.repeat(20);
    const chunk = `${long}${PLACEHOLDER.length.toString(16)}\r\n${PLACEHOLDER}\r\n`;
    const answer = await ask(OTHER, 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked', `${chunk}0\r\n\r\n`);
    assert.match(answer, / 403 /);
    assert.deepEqual(seen, []);
    assert.deepEqual(notices(), ['secret-misuse']);
    const [event] = door.ended('request') as RequestEvent[];
    assert.ok(event!.decision === 'deny' && event!.bytesUp >= 100_000, 'what was out before is told');
  });

  it('is put into 8 places of a head, and not into more', async () => {
    const { seen, ask, notices } = await setUp({ query: true });
    const places = (many: number) => Array(many).fill(PLACEHOLDER).join(' ');
    const basic = (many: number) => `Authorization: Basic ${Buffer.from(places(many)).toString('base64')}`;
    await ask(OWN, `GET / HTTP/1.1\r\nX-Key: ${places(8)}`);
    assert.equal(seen[0]!.headers['x-key'], Array(8).fill(REAL).join(' '));
    for (const head of [
      `GET / HTTP/1.1\r\nX-Key: ${places(9)}`,
      `GET / HTTP/1.1\r\n${basic(9)}`,
      `GET /?${places(4).replaceAll(' ', '&')} HTTP/1.1\r\nX-Key: ${places(3)}\r\n${basic(2)}`,
    ])
      assert.match(await ask(OWN, head), / 403 [\s\S]*more than 8 places/);
    assert.deepEqual([seen.length, notices()], [1, Array(3).fill('secret-misuse')]);
  });

  it('does not go into a body that was not opted in, or is compressed', async () => {
    const off = await setUp();
    await off.ask(OWN, post(PLACEHOLDER), PLACEHOLDER);
    assert.equal(off.seen[0]!.body, PLACEHOLDER);
    const gzip = await setUp({ body: true });
    await gzip.ask(OWN, post(PLACEHOLDER, 'text/plain', '\r\nContent-Encoding: gzip'), PLACEHOLDER);
    assert.equal(gzip.seen[0]!.body, PLACEHOLDER);
  });

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

  it('is read again after a 401, and never sent once it is removed (SE 59)', async () => {
    const { ask, seen, secrets, binding } = await setUp({}, (_, __, response) => {
      response.statusCode = 401;
      response.end();
    });
    const dropped: string[] = [];
    const { rejected } = secrets;
    secrets.rejected = (names) => {
      dropped.push(...names);
      rejected?.call(secrets, names);
    };
    await ask(OWN, `GET / HTTP/1.1\r\nX-Key: ${PLACEHOLDER}`);
    assert.deepEqual(dropped, ['TOKEN']);
    secrets.use([{ ...binding, source: { kind: 'value', value: 'rotated' } }]);
    await ask(OWN, `GET / HTTP/1.1\r\nX-Key: ${PLACEHOLDER}`);
    secrets.use([]);
    await ask(OWN, `GET / HTTP/1.1\r\nX-Key: ${PLACEHOLDER}`);
    assert.deepEqual(
      seen.map(({ headers }) => headers['x-key']),
      [REAL, 'rotated', PLACEHOLDER],
    );
  });

  it('without a value denies readably, and is no misuse', async () => {
    const { ask, seen, notices } = await setUp({
      source: { kind: 'missing', why: 'the variable X was not set' },
    });
    assert.match(
      await ask(OWN, `GET / HTTP/1.1\r\nX-Key: ${PLACEHOLDER}`),
      / 403 [\s\S]*the variable X was not set/,
    );
    assert.deepEqual([seen, notices()], [[], []]);
  });
});
