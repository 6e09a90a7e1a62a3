// Flows through the door, from a fake guest: what is denied and how, and what passes untouched (NE 4, 16).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { PUBLIC, rawOrigin, readAll, say, until } from './fake-guest.ts';
import { closing, door, echo, GET, gone, TCP } from './flow-door.ts';

describe('what no rule allows', () => {
  it('is over when its client goes away in a TLS handshake', async () => {
    const { openName, ended } = await door({ limits: { handshakeMs: 3_600_000 } });
    const flow = await openName('denied.example', 443);
    const [ours, theirs] = duplexPair();
    const client = connectTls({ socket: ours, servername: 'denied.example' });
    flow.write((await once(theirs, 'data'))[0]);
    await once(flow, 'data');
    flow.end();
    await until(() => ended('flow').length === 1);
    client.destroy();
  });

  it('is over when its client closes it without an error and reads nothing', async () => {
    const opened = await door();
    const socket = await opened.tls('denied.example');
    const answered = once(socket, 'data');
    socket.write('BREW / HTTP/1.1\r\n\r\n');
    await answered;
    socket.destroy();
    await until(() => opened.door.flows === 0);
  });

  it('is answered in plain HTTP with 403, the rule and the remedy, and nothing is dialed (NE 4)', async () => {
    const { openName, dialed, lookups, ended } = await door();
    const answer = await say(await openName('denied.example', 80), GET('denied.example'));
    assert.match(answer, /^HTTP\/1\.1 403 /);
    assert.match(answer, /warren-denied: none/i);
    assert.match(answer, /no rule allows it/);
    assert.match(answer, /warren policy allow test denied\.example:80/);
    assert.deepEqual([dialed, lookups], [[], []]);
    assert.deepEqual(
      ended('request').map((event) => event.kind === 'request' && [event.decision, event.path, event.status]),
      [['deny', '/a', 403]],
    );
  });

  it('is answered inside TLS with 403', async () => {
    const opened = await door();
    const answer = await say(await opened.tls('denied.example'), GET('denied.example'));
    assert.match(
      answer,
      /^HTTP\/1\.1 403 [\s\S]*no rule allows it[\s\S]*warren policy allow test denied\.example\n/,
    );
    assert.deepEqual(opened.dialed, []);
  });

  it('is answered with JSON when that is accepted', async () => {
    const { openName } = await door();
    const stream = await openName('denied.example', 80);
    const answer = await say(
      stream,
      'GET / HTTP/1.1\r\nHost: denied.example\r\nAccept: application/json\r\nConnection: close\r\n\r\n',
    );
    const body = JSON.parse(answer.split('\r\n\r\n')[1]!);
    assert.equal(body.code, 'egress.denied');
    assert.deepEqual(body.hints, ['warren policy allow test denied.example:80']);
  });

  it('is reset when it speaks neither, at once or after a silence', async () => {
    const { openName, dialed, ended } = await door({ limits: { silenceMs: 30, deniedSilenceMs: 60 } });
    const speaking = await openName('denied.example', 22);
    speaking.write('SSH-2.0-x\r\n');
    await gone(speaking);
    const silent = await openName('denied.example', 25);
    await gone(silent);
    const elsewhere = await openName('denied.example', 8443);
    await gone(elsewhere);
    assert.ok(speaking.rstCode && silent.rstCode && elsewhere.rstCode);
    assert.deepEqual(dialed, []);
    assert.deepEqual(
      ended('flow').map((event) => [event.decision, event.kind === 'flow' && event.protocol]),
      Array(3).fill(['deny', 'tcp']),
    );
  });

  it('is written down though its client left without a word', async () => {
    const { openName, dialed, ended } = await door({ allow: ['ok.example'] });
    await gone((await openName('denied.example', 22)).end());
    (await openName('denied.example', 80)).close(8);
    await gone((await openName('ok.example', 443)).end());
    await until(() => ended('flow').length === 3);
    assert.deepEqual(
      ended('flow').map(({ host, port, decision, reason }) => [host, port, decision, reason]),
      [
        ['denied.example', 22, 'deny', 'denied.example:22: no rule allows it'],
        ['denied.example', 80, 'deny', 'denied.example:80: no rule allows it'],
        ['ok.example', 443, 'allow', 'its client left without a word'],
      ],
    );
    assert.deepEqual(dialed, []);
  });

  it('is answered readably wherever its server would not have spoken first, though its client is slow', async () => {
    const { openName } = await door({ limits: { silenceMs: 1 } });
    const slow = await openName('denied.example', 8080);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.match(await say(slow, GET('denied.example:8080')), /^HTTP\/1\.1 403 /);
  });

  it('is answered readably at the ports of the web, however slow its client is', async () => {
    const { openName } = await door({ limits: { silenceMs: 1 } });
    const slow = await openName('denied.example', 80);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.match(await say(slow, GET('denied.example')), /^HTTP\/1\.1 403 /);
  });

  it('is denied by address although its name is allowed (NE 16)', async () => {
    const opened = await door({ allow: ['ok.example'] });
    const stream = await opened.open(`${PUBLIC}:443`);
    const { connect } = await import('node:tls');
    const socket = connect({ socket: stream, servername: 'ok.example', rejectUnauthorized: false });
    const [error] = await once(socket, 'error');
    assert.match(String(error), /unrecognized name/);
    assert.deepEqual(opened.dialed, []);
    assert.equal(opened.ended('flow')[0]?.decision, 'deny');
  });

  it('is refused before it is a flow when its target is none', async () => {
    const { session, dialed } = await door();
    for (const authority of ['evil%00.ok.example:443', 'ok.example', '0x7f.1:80', '198.18.0.9:443']) {
      const stream = session.request({ ':method': 'CONNECT', ':authority': authority });
      const [headers] = await once(stream, 'response');
      assert.equal(headers[':status'], 400, authority);
      const body = JSON.parse(await readAll(stream));
      assert.equal(body.code, 'egress.no-host');
    }
    const other = session.request({ ':method': 'GET', ':path': '/' });
    assert.equal((await once(other, 'response'))[0][':status'], 405);
    assert.deepEqual(dialed, []);
  });
});

describe('an opaque flow', () => {
  it('passes bytes both ways, keeps a half open, and is written down before and after', async () => {
    const opened = await door({ allow: [TCP], origins: { 5432: await echo() } });
    const stream = await opened.openName('db.example', 5432);
    assert.equal(await readAll(stream.end('hello')), 'hello');
    await until(() => opened.ended('flow').length > 0);
    const flows = opened.events.filter((event) => event.kind === 'flow');
    assert.deepEqual(
      flows.map((event) => ['begun' in event, event.decision, event.bytesUp, event.bytesDown]),
      [
        [true, 'allow', 0, 0],
        [false, 'allow', 5, 5],
      ],
    );
    assert.deepEqual(opened.dialed, [`${PUBLIC}:5432`]);
  });

  it('lets the server speak though the client has nothing to say', async () => {
    const origin = await rawOrigin((socket) => socket.end('the time'));
    closing.push(origin.close);
    const opened = await door({ allow: [TCP], origins: { 5432: origin.port } });
    assert.equal(await readAll((await opened.openName('db.example', 5432)).end()), 'the time');
    await until(() => opened.door.flows === 0);
  });

  it('passes the end on though it came before anybody knew what is spoken', async () => {
    const opened = await door({ allow: [TCP], origins: { 5432: await echo() } });
    assert.equal(await readAll((await opened.openName('db.example', 5432)).end('PING')), 'PING');
  });

  it('lets the server speak first', async () => {
    const origin = await rawOrigin((socket) => socket.write('220 ready\r\n'));
    closing.push(origin.close);
    const opened = await door({ allow: [TCP], origins: { 5432: origin.port }, limits: { silenceMs: 50 } });
    const stream = await opened.openName('db.example', 5432);
    assert.equal(String((await once(stream, 'data'))[0]), '220 ready\r\n');
    stream.close();
  });

  it('carries 6 MB each way byte for byte', async () => {
    const opened = await door({ allow: [TCP], origins: { 5432: await echo() } });
    const stream = await opened.openName('db.example', 5432);
    const sent = Buffer.alloc(6_000_000);
    for (let at = 0; at < sent.length; at += 4) sent.writeUInt32LE((at * 2654435761) >>> 0, at);
    const chunks: Buffer[] = [];
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.end(sent);
    await once(stream, 'end');
    assert.ok(Buffer.concat(chunks).equals(sent));
  });

  it('is reset at the guest when the origin resets, and the other way round', async () => {
    const origin = await rawOrigin((socket) =>
      socket.once('data', (chunk) => {
        if (String(chunk) === 'reset me') socket.resetAndDestroy();
      }),
    );
    closing.push(origin.close);
    const opened = await door({ allow: [TCP], origins: { 5432: origin.port } });
    const first = await opened.openName('db.example', 5432);
    first.write('reset me');
    await gone(first);
    assert.ok(first.rstCode);
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const second = await rawOrigin((socket) => socket.once('error', resolve));
    closing.push(second.close);
    const again = await door({ allow: [TCP], origins: { 5432: second.port } });
    const stream = await again.openName('db.example', 5432);
    stream.write('x');
    await until(() => second.received.join() === 'x');
    stream.destroy(new Error('reset'));
    assert.equal(((await promise) as NodeJS.ErrnoException).code, 'ECONNRESET');
  });

  it('is not begun when it cannot be written down', async () => {
    const opened = await door({
      allow: [TCP],
      audit: { write: () => Promise.reject(new Error('the disk is full')) },
    });
    const stream = await opened.openName('db.example', 5432);
    stream.write('x');
    await gone(stream);
    assert.deepEqual([opened.dialed, opened.lookups], [[], []]);
  });
});
