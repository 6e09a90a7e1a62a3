// WebSockets through the door (NE 27).

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';
import type { RequestEvent } from '../../src/egress/audit/event.ts';
import { say, tlsOrigin, until } from './fake-guest.ts';
import { closing, door, httpOrigin, plainOrigin } from './http-door.ts';

describe('a websocket', () => {
  const key = 'dGhlIHNhbXBsZSBub25jZQ==';
  const hello = (host: string) =>
    `GET /ws HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`;

  it('passes once its handshake is allowed, and is counted (NE 27)', async () => {
    const server = createServer();
    server.on('upgrade', (request, socket) => {
      const accept = createHash('sha1')
        .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        .digest('base64');
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\nfirst`,
      );
      socket.on('error', () => {});
      socket.pipe(socket);
    });
    const origin = await tlsOrigin((socket) => server.emit('connection', socket));
    closing.push(origin.close);
    const port = await httpOrigin(server);
    const opened = await door({ origins: { 80: port, 443: origin.port } });
    for (const stream of [await opened.openName('api.example', 80), await opened.tls('tls.example')]) {
      let text = '';
      stream.on('data', (chunk) => {
        text += chunk;
      });
      stream.write(hello('encrypted' in stream && stream.encrypted ? 'tls.example' : 'api.example'));
      await until(() => text.endsWith('first'));
      assert.match(
        text,
        /^HTTP\/1\.1 101 Switching Protocols\r\n[\s\S]*Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/,
      );
      stream.write('ping');
      await until(() => text.endsWith('firstping'));
      stream.end();
    }
    await until(() => opened.ended('request').length === 2);
    for (const event of opened.ended('request') as RequestEvent[]) {
      assert.deepEqual([event.status, event.bytesDown], [101, 9]);
      assert.ok(event.bytesUp > 50 && event.bytesUp < 300, String(event.bytesUp));
    }
  });

  it('to a host that is not allowed is denied (NE 27)', async () => {
    const opened = await door();
    assert.match(
      await say(await opened.openName('denied.example', 80), hello('denied.example')),
      /^HTTP\/1\.1 403 /,
    );
    assert.deepEqual(opened.dialed, []);
  });

  it('behind a request that has no answer yet ends the connection, and no other', async () => {
    const { promise, resolve } = Promise.withResolvers<string[]>();
    const opened = await door({ resolve: () => promise });
    for (const upgrade of [
      hello('api.example'),
      'CONNECT api.example:80 HTTP/1.1\r\nHost: api.example\r\n\r\n',
    ]) {
      const stream = await opened.openName('api.example', 80);
      const said = say(stream, `GET /1 HTTP/1.1\r\nHost: api.example\r\n\r\n${upgrade}`);
      await until(() => stream.closed);
      assert.equal(await said, '');
    }
    resolve([]);
    await until(() => opened.door.flows === 0 && opened.ended('request').length === 4);
    const refused = opened.ended('request').filter(({ reason }) => /behind a request/.test(reason ?? ''));
    assert.deepEqual(
      (refused as RequestEvent[]).map(({ method, status }) => [method, status]),
      [
        ['GET', 400],
        ['CONNECT', 400],
      ],
    );
  });

  it('whose origin answers otherwise gets that answer', async () => {
    const origin = await plainOrigin('HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno');
    const opened = await door({ origins: { 80: origin.port } });
    assert.match(
      await say(await opened.openName('api.example', 80), hello('api.example')),
      /^HTTP\/1\.1 404 Not Found[\s\S]*no$/,
    );
  });
});
