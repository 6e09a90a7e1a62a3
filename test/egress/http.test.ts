// Requests through the door, in plain text and inside intercepted TLS: what is refused before anything is sent on, what
// arrives and how (NE 5, 18, 19, 21, 23, 25, 28).

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RequestEvent } from '../../src/egress/audit/event.ts';
import {
  type DoorOptions,
  LATE_MS,
  PUBLIC,
  rawOrigin,
  readAll,
  say,
  tlsOrigin,
  until,
} from './fake-guest.ts';
import { closing, door, httpOrigin, OK, plainOrigin, tlsHttpOrigin } from './http-door.ts';

describe('a request that two programs could read differently', () => {
  const host = 'Host: api.example\r\n';
  const cases: [string, string, RegExp][] = [
    ['two Host headers (NE 18)', `GET / HTTP/1.1\r\n${host}${host}\r\n`, / 400 /],
    ['no Host (NE 18)', 'GET / HTTP/1.1\r\nAccept: */*\r\n\r\n', / 400 /],
    ['no Host in HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', / 400 /],
    ['a Host with another port (NE 18)', 'GET / HTTP/1.1\r\nHost: api.example:444\r\n\r\n', / 421 /],
    ['another Host', 'GET / HTTP/1.1\r\nHost: other.example\r\n\r\n', / 421 /],
    ['a Host with a user', 'GET / HTTP/1.1\r\nHost: a@api.example\r\n\r\n', / 400 /],
    [
      'TE and CL (NE 19)',
      `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      / 400 /,
    ],
    [
      'an unknown TE (NE 19)',
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
      / 400 /,
    ],
    ['two TE', `POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, / 400 /],
    ['obs-fold (NE 19)', `GET / HTTP/1.1\r\n${host}A: b\r\n c\r\n\r\n`, / 400 /],
    ['a bare LF (NE 19)', `GET / HTTP/1.1\n${host}\r\n`, / 400 /],
    ['a bare LF after a header (NE 19)', `GET / HTTP/1.1\r\nHost: api.example\nA: b\r\n\r\n`, / 400 /],
    ['a bare CR', `GET / HTTP/1.1\r\n${host}A: b\rc\r\n\r\n`, / 400 /],
    ['a NUL', `GET / HTTP/1.1\r\n${host}A: b\0c\r\n\r\n`, / 400 /],
    ['a space before the colon', `GET / HTTP/1.1\r\n${host}A : b\r\n\r\n`, / 400 /],
    ['CL +5 (NE 19)', `POST / HTTP/1.1\r\n${host}Content-Length: +5\r\n\r\nhello`, / 400 /],
    ['CL 5,6 (NE 19)', `POST / HTTP/1.1\r\n${host}Content-Length: 5,6\r\n\r\nhello`, / 400 /],
    ['two CL', `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`, / 400 /],
    [
      'a chunk of a wrong size (NE 19)',
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`,
      / 400 /,
    ],
    [
      'a chunk extension without end (NE 19)',
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n5;${'a'.repeat(20_000)}`,
      / 4\d\d /,
    ],
    ['an absolute path', `GET http://api.example/ HTTP/1.1\r\n${host}\r\n`, / 400 /],
    ['TRACE (NE 23)', `TRACE / HTTP/1.1\r\n${host}\r\n`, / 405 /],
    ['TRACK (NE 23)', `TRACK / HTTP/1.1\r\n${host}\r\n`, / 400 /],
    [
      'an upgrade to h2c (NE 23)',
      `GET / HTTP/1.1\r\n${host}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`,
      / 400 /,
    ],
    [
      'an upgrade to foo (NE 23)',
      `GET / HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: foo\r\n\r\n`,
      / 400 /,
    ],
    ['an upgrade that it does not say', `GET / HTTP/1.1\r\n${host}Upgrade: websocket\r\n\r\n`, / 400 /],
    ['CONNECT (NE 5)', 'CONNECT other.example:443 HTTP/1.1\r\nHost: other.example:443\r\n\r\n', / 400 /],
    ['CONNECT to itself (NE 5)', `CONNECT api.example:80 HTTP/1.1\r\nHost: api.example:80\r\n\r\n`, / 400 /],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', / 400 /],
    ['a header that Connection takes away', `GET / HTTP/1.1\r\n${host}Connection: host\r\n\r\n`, / 400 /],
    [
      'a websocket with a body (NE 27)',
      `GET / HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 3\r\n\r\nabc`,
      / 400 /,
    ],
    [
      'a websocket of another version (NE 27)',
      `GET / HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 1337\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
      / 400 /,
    ],
    ['300 headers', `GET / HTTP/1.1\r\n${host}${'a: b\r\n'.repeat(300)}\r\n`, / 431 /],
    ['too long a head', `GET / HTTP/1.1\r\n${host}a: ${'b'.repeat(70_000)}\r\n\r\n`, / 431 /],
  ];
  for (const [what, text, status] of cases)
    for (const secure of [false, true])
      it(`is refused: ${what}${secure ? ', inside TLS' : ''}`, async () => {
        const origin = await plainOrigin();
        const secureOrigin = await tlsOrigin((socket) => socket.end(OK));
        closing.push(secureOrigin.close);
        const opened = await door({ origins: { 80: origin.port, 443: secureOrigin.port } });
        const stream = secure ? await opened.tls('api.example') : await opened.openName('api.example', 80);
        const answer = await say(
          stream,
          text.replaceAll('api.example:80', secure ? 'api.example:443' : '$&'),
        );
        assert.match(answer.slice(0, 20), status);
        assert.doesNotMatch(answer, /200 OK/);
        assert.equal(origin.received.join(''), '');
        assert.ok(opened.ended('request').some(({ decision }) => decision === 'deny'));
      });
});

describe('a request', () => {
  it('arrives byte for byte but for its connection, whatever its path is (NE 21)', async () => {
    const origin = await plainOrigin();
    const opened = await door({ origins: { 80: origin.port } });
    const paths = ['/repos/me/../other', '/%2e%2e/', '//x', '/\\', '/%2f', '/a;x?q=%00&r=[]|'];
    for (const path of paths) {
      const answer = await say(
        await opened.openName('api.example', 80),
        `GET ${path} HTTP/1.1\r\nHost: API.example\r\nX-Odd: \xe9 "q"\r\nX-odd: 2\r\nX-Hop: h\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nConnection: close, X-Hop\r\n\r\n`,
      );
      assert.match(answer, /^HTTP\/1\.1 200 OK/);
    }
    assert.deepEqual(
      origin.received,
      paths.map(
        (path) =>
          `GET ${path} HTTP/1.1\r\nHost: api.example\r\nX-Odd: \xe9 "q"\r\nX-odd: 2\r\nConnection: keep-alive\r\n\r\n`,
      ),
    );
  });

  it('is judged on the path that is sent (NE 21)', async () => {
    const origin = await plainOrigin();
    const opened = await door({
      allow: [{ host: 'api.example', http: true, paths: ['/repos/me/*'] }],
      origins: { 80: origin.port },
    });
    for (const path of [
      '/repos/me/../other',
      '/repos/me/%2e%2e/x',
      '/repos/me//x',
      '/repos/me/%2fx',
      '/other',
    ])
      assert.match(
        await say(
          await opened.openName('api.example', 80),
          `GET ${path} HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n`,
        ),
        / 403 /,
      );
    assert.equal(origin.received.length, 0);
  });

  it('follows another on its connection, and one upstream connection serves both', async () => {
    const origin = await plainOrigin();
    const opened = await door({ origins: { 80: origin.port } });
    const stream = await opened.openName('api.example', 80);
    const one = 'GET / HTTP/1.1\r\nHost: api.example\r\n\r\n';
    const answer = await say(stream, one + one + one.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    assert.equal(answer.match(/200 OK/g)?.length, 3);
    assert.equal(opened.dialed.length, 1);
  });

  it('is denied when it cannot be written down, and nothing is dialed', async () => {
    const opened = await door({ audit: { write: () => Promise.reject(new Error('full')) } });
    const answer = await say(
      await opened.openName('api.example', 80),
      'GET / HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n',
    );
    assert.match(answer, /^HTTP\/1\.1 503 /);
    assert.deepEqual(opened.dialed, []);
  });

  it('gets an answer that announces trailers and has none', async () => {
    const origin = await plainOrigin('HTTP/1.1 200 OK\r\nTrailer: X\r\nContent-Length: 2\r\n\r\nok');
    const opened = await door({ origins: { 80: origin.port } });
    for (const version of ['1.1', '1.0']) {
      const answer = await say(
        await opened.openName('api.example', 80),
        `GET / HTTP/${version}\r\nHost: api.example\r\nConnection: close\r\n\r\n`,
      );
      assert.match(answer, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nok$/);
    }
  });

  it('gets a redirect as it is; where it leads is judged anew (NE 28)', async () => {
    const origin = await plainOrigin(
      'HTTP/1.1 302 Found\r\nLocation: http://denied.example/\r\nContent-Length: 0\r\n\r\n',
    );
    const opened = await door({ origins: { 80: origin.port } });
    const answer = await say(
      await opened.openName('api.example', 80),
      'GET / HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n',
    );
    assert.match(answer, /^HTTP\/1\.1 302 Found\r\nLocation: http:\/\/denied/i);
    const next = await say(
      await opened.openName('denied.example', 80),
      'GET / HTTP/1.1\r\nHost: denied.example\r\nConnection: close\r\n\r\n',
    );
    assert.match(next, / 403 /);
    assert.deepEqual(opened.dialed, [`${PUBLIC}:80`]);
  });

  it('carries 6 MB each way byte for byte, also inside TLS', async () => {
    const digest = (body: Buffer) => createHash('sha256').update(body).digest('hex');
    const down = randomBytes(6_000_000);
    const origin = await tlsHttpOrigin(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      response.setHeader('x-digest', digest(Buffer.concat(chunks)));
      response.end(down);
    });
    const opened = await door({ origins: { 443: origin.port } });
    const up = randomBytes(6_000_000);
    const socket = await opened.tls('tls.example');
    socket.write(
      `POST / HTTP/1.1\r\nHost: tls.example\r\nConnection: close\r\nContent-Length: ${up.length}\r\n\r\n`,
    );
    socket.write(up);
    const answer = Buffer.from(await readAll(socket), 'latin1');
    const head = answer.subarray(0, answer.indexOf('\r\n\r\n')).toString('latin1');
    assert.match(head, new RegExp(`x-digest: ${digest(up)}`, 'i'));
    assert.ok(answer.subarray(head.length + 4).equals(down));
    await until(() => opened.ended('request').length === 1);
    const [event] = opened.ended('request') as RequestEvent[];
    assert.deepEqual([event?.bytesDown, event?.status], [6_000_000, 200]);
    assert.equal(event?.bytesUp, 6_000_000 + 'POST /tls.example'.length);
  });

  it('is written down with what its head and its trailers carried out', async () => {
    const origin = await httpOrigin(
      createServer((request, response) => request.resume().once('end', () => response.end())),
    );
    const opened = await door({ origins: { 80: origin } });
    const much = 'x'.repeat(5_000);
    const head = `POST /?${much} HTTP/1.1\r\nHost: api.example\r\nX-More: ${much}\r\nConnection: close\r\n`;
    const body = `Transfer-Encoding: chunked\r\nTrailer: x-last\r\n\r\n3\r\nabc\r\n0\r\nX-Last: ${much}\r\n\r\n`;
    assert.match(await say(await opened.openName('api.example', 80), head + body), / 200 /);
    await until(() => opened.ended('request').length === 1);
    const [event] = opened.ended('request') as RequestEvent[];
    assert.ok(event!.bytesUp > 15_000 && event!.bytesUp < 15_100, String(event!.bytesUp));
    assert.ok(!JSON.stringify(event).includes('xxx'));
  });

  it('is answered as the answer comes, event by event', async () => {
    const served = Promise.withResolvers<import('node:http').ServerResponse>();
    const port = await httpOrigin(
      createServer((_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: 1\n\n');
        served.resolve(response);
      }),
    );
    const opened = await door({ origins: { 80: port } });
    const stream = await opened.openName('api.example', 80);
    stream.write('GET /events HTTP/1.1\r\nHost: api.example\r\n\r\n');
    let text = '';
    stream.on('data', (chunk) => {
      text += chunk;
    });
    await until(() => text.includes('data: 1\n\n'));
    const response = await served.promise;
    response.write('data: 2\n\n');
    await until(() => text.includes('data: 2\n\n'));
    const gone = once(response, 'close');
    stream.destroy(new Error('enough'));
    await gone;
  });

  it('that is cut off is never complete at the origin', async () => {
    const begun = Promise.withResolvers<void>();
    const seen = Promise.withResolvers<boolean>();
    const port = await httpOrigin(
      createServer((request) => {
        request.once('data', () => begun.resolve());
        request.on('error', () => {});
        request.on('close', () => seen.resolve(request.complete));
      }),
    );
    const opened = await door({ origins: { 80: port } });
    const stream = await opened.openName('api.example', 80);
    stream.write('POST / HTTP/1.1\r\nHost: api.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
    await begun.promise;
    stream.destroy(new Error('gone'));
    assert.equal(await seen.promise, false);
  });

  it('waits for 100-continue until it is allowed', async () => {
    const origin = await plainOrigin();
    const opened = await door({ origins: { 80: origin.port } });
    const stream = await opened.openName('api.example', 80);
    stream.write(
      'PUT / HTTP/1.1\r\nHost: api.example\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n',
    );
    const [first] = await once(stream, 'data');
    assert.match(String(first), /^HTTP\/1\.1 100 Continue\r\n\r\n/);
    assert.match(await say(stream, 'hi'), /200 OK/);
    assert.match(origin.received[0]!, /Content-Length: 2\r\n[\s\S]*\r\n\r\nhi$/);
  });
});

describe('an upstream', () => {
  for (const [what, as, code, limits] of [
    ['a certificate for another name (NE 25)', 'other.example', /is for another name/, {}],
    ['nothing but plain text', null, /TLS to tls\.example failed/, {}],
    // The guest's own handshake is held to it too.
    ['nothing at all', undefined, /TLS to tls\.example failed/, { handshakeMs: 2_000 }],
  ] as const) {
    it(`with ${what} is told as 502, and gets no request`, async () => {
      let requests = 0;
      let secrets = 0;
      const origin = as
        ? await tlsHttpOrigin((_, response) => {
            requests += 1;
            response.end();
          }, as)
        : await rawOrigin((socket) => as === null && socket.write('220 ready\r\n'));
      closing.push(origin.close);
      const opened = await door({
        origins: { 443: origin.port },
        limits,
        secrets: {
          substitute: (head) => {
            secrets += 1;
            return { headers: head.headers, used: [] };
          },
        },
      });
      const answer = await say(
        await opened.tls('tls.example'),
        'GET / HTTP/1.1\r\nHost: tls.example\r\nConnection: close\r\n\r\n',
      );
      assert.match(answer, /^HTTP\/1\.1 502 /);
      assert.match(answer, code);
      assert.deepEqual([requests, secrets], [0, 0]);
    });
  }

  it('that nobody vouches for is told as 502 (NE 25)', async () => {
    const origin = await tlsHttpOrigin((_, response) => response.end('leaked'));
    const opened = await door({ origins: { 443: origin.port }, extraCa: [] });
    const answer = await say(
      await opened.tls('tls.example'),
      'GET / HTTP/1.1\r\nHost: tls.example\r\nConnection: close\r\n\r\n',
    );
    assert.match(answer, /^HTTP\/1\.1 502 /);
    assert.match(answer, /issued by nobody whom the host trusts \("ca" in its config\.json adds more\)/);
    assert.doesNotMatch(answer, /leaked/);
  });

  it('gets secrets put in once it is verified; a misuse is denied', async () => {
    const origin = await tlsHttpOrigin((request, response) =>
      response.end(String(request.headers['authorization'])),
    );
    const secrets: DoorOptions['secrets'] = {
      substitute: async (head, _, protocol) =>
        protocol === 'http'
          ? { misuse: 'a placeholder has no place there' }
          : {
              headers: head.headers.map(([name, value]) => [name, value.replace('wrn_x', 'real')] as const),
              used: ['x'],
            },
    };
    const opened = await door({ origins: { 443: origin.port, 80: origin.port }, secrets: secrets! });
    const request = (host: string) =>
      `GET / HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer wrn_x\r\nConnection: close\r\n\r\n`;
    assert.match(await say(await opened.tls('tls.example'), request('tls.example')), /Bearer real/);
    const denied = await say(await opened.openName('api.example', 80), request('api.example'));
    assert.match(denied, / 403 [\s\S]*has no place/);
    assert.deepEqual(
      opened.ended('notice').map((event) => 'code' in event && event.code),
      ['secret-misuse'],
    );
    const allowed = opened.ended('request')[0] as RequestEvent;
    assert.deepEqual(allowed.secrets, ['x']);
  });
});

describe('chunks of a body that nobody reads yet', () => {
  it('may not be so small that they fill the memory (NE 41)', async () => {
    const { promise, resolve } = Promise.withResolvers<string[]>();
    const opened = await door({ limits: { pieces: 200 }, resolve: () => promise });
    const stream = await opened.openName('api.example', 80);
    const closed = new Promise((done) => stream.once('close', () => done('closed')));
    stream.write('POST / HTTP/1.1\r\nHost: api.example\r\nTransfer-Encoding: chunked\r\n\r\n');
    stream.write('1\r\nx\r\n'.repeat(400));
    const ended = await Promise.race([closed, sleep(LATE_MS, 'open', { ref: false })]);
    resolve([]);
    assert.equal(ended, 'closed');
  });
});
