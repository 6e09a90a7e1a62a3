// Secrets through a whole door: origins verified over TLS, what they received and what the guest did (SE 50, 52, 53, 59).

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RequestEvent } from '../../src/egress/audit/event.ts';
import { say } from './fake-guest.ts';
import { OTHER, OWN, PLACEHOLDER, post, REAL, setUp } from './secret-origins.ts';

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
