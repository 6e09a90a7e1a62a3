// HTTP/2 inside intercepted TLS, gRPC as it uses it, and real clients (curl) through a listener on loopback.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type ClientHttp2Session, connect, performServerHandshake, type ServerHttp2Stream } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { queryObjects } from 'node:v8';
import type { RequestEvent } from '../../src/egress/audit/event.ts';
import {
  type DoorOptions,
  guestCa,
  LATE_MS,
  openDoor,
  readAll,
  type TestDoor,
  tlsOrigin,
  until,
} from './fake-guest.ts';

const run = promisify(execFile);
const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});

async function door(options: DoorOptions = {}): Promise<TestDoor> {
  const opened = await openDoor({ allow: ['tls.example'], ...options });
  closing.push(() => opened.close());
  return opened;
}

async function http2Origin(onStream: (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void) {
  const origin = await tlsOrigin(
    (socket) => {
      const session = performServerHandshake(socket);
      session.on('error', () => {});
      session.on('stream', (stream, headers) => {
        stream.on('error', () => {});
        onStream(stream, headers);
      });
    },
    ['h2', 'http/1.1'],
  );
  closing.push(origin.close);
  return origin;
}

async function client(opened: TestDoor, name = 'tls.example'): Promise<ClientHttp2Session> {
  const socket = await opened.tls(name, { alpn: ['h2'] });
  assert.equal(socket.alpnProtocol, 'h2');
  const session = connect(`https://${name}`, { createConnection: () => socket });
  session.on('error', () => {});
  closing.push(() => session.destroy());
  return session;
}

describe('HTTP/2', () => {
  it('may not cut a body that nobody reads yet so fine that it fills the memory (NE 41)', async () => {
    const { promise, resolve } = Promise.withResolvers<string[]>();
    const opened = await door({ limits: { pieces: 200 }, resolve: () => promise });
    const stream = (await client(opened)).request({ ':method': 'POST', ':path': '/' }, { endStream: false });
    stream.on('error', () => {});
    const closed = new Promise((done) => stream.once('close', () => done('closed')));
    for (let nr = 0; nr < 400 && !stream.destroyed; nr++)
      await new Promise((written) => stream.write('x', written));
    const ended = await Promise.race([closed, sleep(LATE_MS, 'open', { ref: false })]);
    resolve([]);
    assert.equal(ended, 'closed');
  });

  it('carries a call of gRPC: both bodies at once, and trailers both ways', async () => {
    let got: Record<string, unknown> = {};
    const origin = await http2Origin((stream, headers) => {
      got = headers;
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('data', (chunk: Buffer) => stream.write(`<${chunk}>`));
      let told = '';
      stream.on('trailers', (trailers) => {
        told = String(trailers['x-told']);
      });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'x-heard': told }));
      stream.on('end', () => stream.end());
    });
    const opened = await door({ origins: { 443: origin.port } });
    const session = await client(opened);
    const stream = session.request(
      { ':method': 'POST', ':path': '/pkg.Service/Talk', 'content-type': 'application/grpc', te: 'trailers' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-told': 'yes' }));
    let text = '';
    stream.on('data', (chunk) => {
      text += chunk;
    });
    stream.write('one');
    await until(() => text === '<one>');
    stream.write('two');
    await until(() => text === '<one><two>');
    const trailers = once(stream, 'trailers');
    stream.end();
    const [list] = await trailers;
    assert.deepEqual([list['grpc-status'], list['x-heard']], ['0', 'yes']);
    assert.deepEqual(
      [got['te'], got[':authority'], got[':path']],
      ['trailers', 'tls.example', '/pkg.Service/Talk'],
    );
    await until(() => opened.ended('request').length === 1);
    const [event] = opened.ended('request') as RequestEvent[];
    assert.deepEqual([event?.bytesDown, event?.status], [10, 200]);
    assert.ok(event!.bytesUp > 50 && event!.bytesUp < 200, String(event!.bytesUp));
  });

  it('carries an answer of trailers only, and many calls over one upstream connection', async () => {
    const origin = await http2Origin((stream) =>
      stream.respond({ ':status': 200, 'grpc-status': '5' }, { endStream: true }),
    );
    const opened = await door({ origins: { 443: origin.port } });
    const session = await client(opened);
    await Promise.all(
      Array.from({ length: 40 }, async () => {
        const stream = session.request({ ':path': '/', ':method': 'POST' });
        stream.end('x');
        const [headers] = await once(stream, 'response');
        assert.equal(headers['grpc-status'], '5');
        await readAll(stream);
      }),
    );
    assert.equal(origin.connections(), 1);
  });

  it('carries headers and trailers that stand there twice, though once would do', async () => {
    const loose = { strictSingleValueFields: false } as object;
    const heard: string[] = [];
    const origin = await tlsOrigin(
      (socket) => {
        const session = performServerHandshake(socket, loose);
        session.on('error', () => {});
        session.on('stream', (stream, _, __, raw: string[] = []) => {
          heard.push(raw.slice(-4).join());
          stream.on('trailers', (___, ____, rawTrailers: string[] = []) => heard.push(rawTrailers.join()));
          stream.on('wantTrailers', () => stream.sendTrailers({ etag: ['a', 'b'] as never }));
          stream.respond(
            { ':status': 200, 'x-content-type-options': ['c', 'd'] as never },
            { waitForTrailers: true },
          );
          stream.resume().on('end', () => stream.end('ok'));
        });
      },
      ['h2'],
    );
    closing.push(origin.close);
    const opened = await door({ origins: { 443: origin.port } });
    const socket = await opened.tls('tls.example', { alpn: ['h2'] });
    const session = connect('https://tls.example', { createConnection: () => socket, ...loose });
    closing.push(() => session.destroy());
    const stream = session.request(
      { ':path': '/', ':method': 'POST', from: ['e', 'f'] as never },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ etag: ['g', 'h'] as never }));
    const signal = AbortSignal.timeout(LATE_MS);
    const rawOf = async (event: string) => (await once(stream, event, { signal }))[2] as string[];
    const got = Promise.all([rawOf('response'), rawOf('trailers')]);
    stream.resume().end('abc');
    const [answer, trailers] = await got;
    assert.deepEqual(heard, ['from,e,from,f', 'etag,g,etag,h']);
    assert.equal(answer.slice(2, 6).join(), 'x-content-type-options,c,x-content-type-options,d');
    assert.equal(trailers.join(), 'etag,a,etag,b');
  });

  it('reaches an origin that speaks HTTP/1.1', async () => {
    const server = createHttpServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      response.setHeader('x-got', `${request.httpVersion} ${request.headers.host} ${request.headers.cookie}`);
      response.end(body.toUpperCase());
    });
    const origin = await tlsOrigin((socket) => server.emit('connection', socket));
    closing.push(origin.close);
    const opened = await door({ origins: { 443: origin.port } });
    const session = await client(opened);
    const stream = session.request({ ':method': 'POST', ':path': '/a', cookie: ['a=1', 'b=2'] });
    stream.end('hello');
    const [headers] = await once(stream, 'response');
    assert.equal(headers['x-got'], '1.1 tls.example a=1; b=2');
    assert.equal(await readAll(stream), 'HELLO');
  });

  it('is denied call by call, readably, and nothing is dialed', async () => {
    const opened = await door({ allow: [{ host: 'tls.example', methods: ['GET'] }] });
    const session = await client(opened);
    for (let nr = 0; nr < 2; nr++) {
      const stream = session.request({ ':method': 'POST', ':path': '/' });
      stream.end('x');
      const [headers] = await once(stream, 'response');
      assert.equal(headers[':status'], 403);
      assert.equal(headers['warren-denied'], 'none');
      assert.match(await readAll(stream), /only GET may be[\s\S]*warren policy allow test tls\.example/);
    }
    assert.deepEqual(opened.dialed, []);
  });

  it('denies a call of gRPC in its own form, which its clients show', async () => {
    const opened = await door({ allow: [{ host: 'tls.example', paths: ['/open/*'] }] });
    const session = await client(opened);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/pkg.Service/Talk',
      'content-type': 'application/grpc+proto',
      te: 'trailers',
    });
    stream.end('x');
    const [headers] = await once(stream, 'response');
    assert.equal(await readAll(stream), '');
    assert.deepEqual(
      [headers[':status'], headers['content-type'], headers['grpc-status'], headers['warren-denied']],
      [200, 'application/grpc', '7', 'none'],
    );
    const message = decodeURI(String(headers['grpc-message']));
    assert.match(
      message,
      /^Warren: POST \S+Talk: only \/open\/\* may be .*\nto allow it: warren policy allow test /,
    );
    assert.deepEqual(opened.dialed, []);
    await until(() => opened.ended('request').length === 1);
    const [event] = opened.ended('request') as RequestEvent[];
    assert.deepEqual([event?.decision, event?.status], ['deny', 403]);
  });

  it('is refused with another authority, CONNECT, TRACE, and two hosts (NE 5, 18, 23)', async () => {
    const opened = await door();
    const session = await client(opened);
    for (const [head, status] of [
      [{ ':path': '/', ':authority': 'other.example' }, 421],
      [{ ':path': '/', ':authority': 'tls.example:444' }, 421],
      [{ ':path': '/', ':authority': 'tls.example', host: 'other.example' }, 400],
      [{ ':path': '/', ':method': 'TRACE' }, 405],
      [{ ':path': '/', ':scheme': 'http' }, 400],
    ] as const) {
      const stream = session.request(head as Record<string, string>);
      const [headers] = await once(stream, 'response');
      assert.equal(headers[':status'], status, JSON.stringify(head));
      await readAll(stream);
    }
    const inner = session.request({ ':method': 'CONNECT', ':authority': 'other.example:443' });
    inner.on('error', () => {});
    const [headers] = await once(inner, 'response');
    assert.equal(headers[':status'], 400);
    assert.deepEqual(opened.dialed, []);
  });

  it('passes the resets of an origin on, never as an end', async () => {
    const origin = await http2Origin((stream) => {
      stream.respond({ ':status': 200 });
      stream.write('half');
      setTimeout(() => stream.destroy(new Error('broken')), 50);
    });
    const opened = await door({ origins: { 443: origin.port } });
    const stream = (await client(opened)).request({ ':path': '/' });
    stream.on('error', () => {});
    stream.resume();
    await new Promise((resolve) => stream.once('close', resolve));
    assert.notEqual(stream.rstCode, 0);
  });
});

it('a connection that is over is kept by nobody', async () => {
  const opened = await door();
  const [ours] = duplexPair();
  const one = performServerHandshake(ours);
  one.on('error', () => {});
  const count = () => queryObjects(one.constructor as never, { format: 'count' });
  const before = count();
  for (let nr = 0; nr < 5; nr++) {
    const session = await client(opened);
    const stream = session.request({ ':path': '/' });
    await once(stream, 'response');
    session.destroy();
  }
  await until(() => opened.door.flows === 0);
  await until(() => count() <= before);
  one.destroy();
});

describe('a real client', () => {
  const folder = mkdtempSync(join(tmpdir(), 'warren-door-'));
  closing.push(() => rmSync(folder, { recursive: true }));
  const ca = join(folder, 'ca.pem');
  writeFileSync(ca, guestCa.certificatePem);
  const curl = async (opened: TestDoor, name: string, ...args: string[]) => {
    const port = await opened.listen(`${opened.names.addressOf(name)}:443`);
    const to = [
      '--connect-to',
      `${name}:443:127.0.0.1:${port}`,
      '--cacert',
      ca,
      '-sS',
      '-m',
      String(LATE_MS / 1000),
      '--noproxy',
      '*',
    ];
    return (await run('curl', [...to, ...args, `https://${name}/x`])).stdout;
  };

  it('curl gets its answer over both versions, sends a body and follows no lie', async () => {
    const origin = await http2Origin((stream, headers) => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
      if (headers[':method'] === 'GET') stream.end('over h2');
    });
    const opened = await door({ origins: { 443: origin.port } });
    assert.equal(await curl(opened, 'tls.example'), 'over h2');
    const server = createHttpServer((_, response) => response.end('over 1.1'));
    const older = await tlsOrigin((socket) => server.emit('connection', socket));
    closing.push(older.close);
    const second = await door({ origins: { 443: older.port } });
    assert.equal(await curl(second, 'tls.example', '--http1.1', '-d', 'x'.repeat(100_000)), 'over 1.1');
    assert.equal(await curl(second, 'tls.example', '--http2'), 'over 1.1');
  });

  it('curl shows why it was denied', async () => {
    const opened = await door();
    const text = await curl(opened, 'denied.example', '-D', '-');
    assert.match(text, /403/);
    assert.match(text, /warren-denied: none/i);
    assert.match(text, /to allow it: warren policy allow test denied\.example/);
  });
});
