// What the door forwards is what a strict origin received: each odd request is refused, with nothing upstream, or
// arrives with the same start, the same headers in the same order and spelling, and the same body. The documented
// changes are below, and no others: `endToEndOf`.

import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import { after, describe, it } from 'node:test';
import { openDoor, rawOrigin, type readAll, type TestDoor, tlsOrigin, until } from './fake-guest.ts';
import { ODD_HTTP2 } from './odd-http2.ts';
import { ODD_REQUESTS } from './odd-requests.ts';
import { readRequests, type StrictRequest } from './strict-origin.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
/** What concerns one connection, and what frames a body, is the door's own. */
const OWN =
  /^(?:host|connection|keep-alive|proxy-authenticate|proxy-authorization|proxy-connection|te|transfer-encoding|upgrade|http2-settings|content-length|expect)$/;
const NO_TRAILER = /^(?:content-length|host|trailer|authorization)$/;

/** Keeps what came, and answers when a request is whole. */
function strictly(received: () => string, answer: (text: string) => void): () => void {
  let answered = 0;
  return () => {
    const { requests } = readRequests(received());
    for (; answered < requests.length; answered++) answer(ANSWER);
  };
}

const seen: string[] = [];
const plain = await rawOrigin((socket, received) => {
  const nr = seen.push('') - 1;
  const look = strictly(received, (text) => socket.write(text));
  socket.on('data', () => {
    seen[nr] = received();
    look();
  });
});
const secure = await tlsOrigin((socket) => {
  const nr = seen.push('') - 1;
  const look = strictly(
    () => seen[nr]!,
    (text) => socket.write(text),
  );
  socket.on('data', (chunk: Buffer) => {
    seen[nr] += chunk.toString('latin1');
    look();
  });
});
closing.push(plain.close, secure.close);
const opened: TestDoor = await openDoor({
  allow: [{ host: 'api.example', http: true }, 'api.example'],
  origins: { 80: plain.port, 443: secure.port },
  limits: { opensPerSecond: 10_000 },
});
closing.push(() => opened.close());

for (const isSecure of [false, true])
  describe(isSecure ? 'inside intercepted TLS' : 'in plain text', () => {
    for (const { what, text, refused, notHttp, inBody } of ODD_REQUESTS)
      it(`${what} ${refused === null ? 'arrives' : `is refused with ${refused}`}`, async () => {
        const sent = text.replace(':PORT', isSecure ? ':443' : ':80');
        const stream = isSecure ? await opened.tls('api.example') : await opened.openName('api.example', 80);
        stream.write(Buffer.from(sent, 'latin1'));
        const status = await answered(stream);
        stream.destroy();
        await until(() => opened.door.flows === 0);
        const received = seen.splice(0).join('');
        if (refused !== null) {
          // What is no HTTP at all gets no answer of it in plain text: its flow is reset.
          assert.equal(status, notHttp && !isSecure ? undefined : refused);
          if (inBody) assert.deepEqual(readRequests(received).requests, []);
          else assert.equal(received, '');
          return;
        }
        assert.equal(status, 200);
        const { requests, rest } = readRequests(received);
        assert.deepEqual([requests.length, rest], [1, '']);
        const [request] = requests as [StrictRequest];
        assert.deepEqual(endToEndOf(request), endToEndOf(sentAs(sent)));
        assert.deepEqual(request.headers[0], ['Host', 'api.example']);
      });
  });

describe('over HTTP/2', () => {
  for (const [what, refused, head, body, trailer] of ODD_HTTP2)
    it(`${what} ${refused === null ? 'arrives' : `is refused with ${refused}`}`, async () => {
      const [start = '', ...lines] = head.split('\n');
      const [method = '', path = ''] = start.split(' ');
      const headers = lines.map(pair);
      const socket = await opened.tls('api.example', { alpn: ['h2'] });
      const session = connect('https://api.example', { createConnection: () => socket });
      session.on('error', () => {});
      const pseudo = { ':method': method, ':path': path, ':scheme': 'https', ':authority': 'api.example' };
      const stream = session.request([...Object.entries(pseudo), ...headers].flat(), {
        endStream: body === undefined,
        waitForTrailers: trailer !== undefined,
      });
      stream.on('error', () => {});
      if (trailer) stream.on('wantTrailers', () => stream.sendTrailers(Object.fromEntries([pair(trailer)])));
      if (body !== undefined) stream.end(Buffer.from(body, 'latin1'));
      const status = await new Promise<unknown>((resolve) => {
        stream.on('response', (answer) => resolve(answer[':status']));
        stream.on('close', () => resolve('reset'));
      });
      session.destroy();
      await until(() => opened.door.flows === 0);
      const received = seen.splice(0).join('');
      // nghttp2 itself resets what is against HTTP/2.
      if (refused !== null) {
        assert.ok(status === refused || status === 'reset', String(status));
        assert.equal(received, '');
        return;
      }
      assert.equal(status, 200);
      const { requests, rest } = readRequests(received);
      assert.deepEqual([requests.length, rest], [1, '']);
      const [request] = requests as [StrictRequest];
      const chunked: [string, string][] = body === undefined ? [] : [['transfer-encoding', 'chunked']];
      const trailers = trailer ? [pair(trailer)] : [];
      const sent = endToEndOf({
        method,
        path,
        headers: [...headers, ...chunked],
        body: body ?? '',
        trailers,
      });
      assert.deepEqual(endToEndOf(request), sent);
    });
});

it('the corpus is as large as it says', () => {
  assert.ok(ODD_REQUESTS.length >= 200, `${ODD_REQUESTS.length}`);
  assert.equal(new Set(ODD_REQUESTS.map(({ text }) => text)).size, ODD_REQUESTS.length);
});

/** The status of its final answer. */
async function answered(stream: Parameters<typeof readAll>[0]): Promise<number | undefined> {
  let text = '';
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    text = text.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '');
    if (text.includes('\r\n\r\n')) resolve();
  });
  stream.on('error', () => resolve());
  stream.on('close', () => resolve());
  await promise;
  const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(text) ?? [];
  return status === undefined ? undefined : Number(status);
}

function endToEndOf(request: Omit<StrictRequest, 'chunked'>) {
  const named = request.headers
    .filter(([name]) => name.toLowerCase() === 'connection')
    .flatMap(([, value]) => value.split(',').map((each) => each.trim().toLowerCase()));
  const chunked = request.headers.some(([name]) => name.toLowerCase() === 'transfer-encoding');
  const stays = ([spelled]: [string, string]) => {
    const name = spelled.toLowerCase();
    // A `Trailer` says what follows chunks: without them, nothing can.
    return !OWN.test(name) && !named.includes(name) && (chunked || name !== 'trailer');
  };
  return {
    start: `${request.method} ${request.path}`,
    headers: request.headers.filter(stays),
    body: request.body,
    trailers: request.trailers
      .filter(([name]) => !NO_TRAILER.test(name.toLowerCase()))
      .map(([name, value]) => [name.toLowerCase(), value]),
  };
}

/** What the client meant: read as loosely as the corpus is written. */
function sentAs(text: string): Omit<StrictRequest, 'chunked'> {
  const [head = '', ...rest] = text.replace(/^(?:\r\n)+/, '').split('\r\n\r\n');
  const [start = '', ...lines] = head.split('\r\n');
  const [method = '', path = ''] = start.split(/ +/);
  const headers = lines.map(pair);
  const raw = rest.join('\r\n\r\n');
  if (!headers.some(([name]) => name.toLowerCase() === 'transfer-encoding'))
    return { method, path, headers, body: raw, trailers: [] };
  let body = '';
  let at = 0;
  for (;;) {
    const end = raw.indexOf('\r\n', at);
    const bytes = Number.parseInt(raw.slice(at, end), 16);
    at = end + 2 + bytes;
    if (bytes === 0) break;
    body += raw.slice(end + 2, at);
    at += 2;
  }
  const trailers = raw
    .slice(at)
    .split('\r\n')
    .filter((line) => line !== '')
    .map(pair);
  return { method, path, headers, body, trailers };
}

function pair(line: string): [string, string] {
  const at = line.indexOf(':');
  return [line.slice(0, at), line.slice(at + 1).replace(/^[\t ]+|[\t ]+$/g, '')];
}
