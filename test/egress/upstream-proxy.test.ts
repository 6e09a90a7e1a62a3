// The user's own proxy as the way out of a door: a real CONNECT proxy on loopback.

import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { dialThrough, parseUpstreamProxy } from '../../src/egress/flow/upstream-proxy.ts';
import { listenOn, openDoor, rawOrigin, say } from './fake-guest.ts';

const heads: string[] = [];
const sockets = new Set<Socket>();
/** Leads every CONNECT to `origin`; says no to `no.example`. */
async function proxy(origin: number): Promise<number> {
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', (bytes) => {
      const head = bytes.toString('latin1');
      heads.push(head);
      if (head.includes('no.example')) return void socket.end('HTTP/1.1 403 No\r\n\r\n');
      if (head.includes('flood.example')) return void socket.write('x'.repeat(20_000));
      const up = connect(origin, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n');
        socket.pipe(up).pipe(socket);
      });
      sockets.add(up);
      up.on('error', () => {});
    });
  });
  after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return await listenOn(server);
}

describe('a door with an upstream proxy', () => {
  it('sends what a rule allows through it, and resolves no name', async () => {
    const origin = await rawOrigin((socket) => {
      socket.once('data', () =>
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi'),
      );
    });
    after(() => origin.close());
    const port = await proxy(origin.port);
    const opened = await openDoor({
      allow: ['a.example:80', 'no.example:80'],
      upstreamProxy: parseUpstreamProxy(`http://me:se%20cret@127.0.0.1:${port}`),
    });
    after(() => opened.close());
    const get = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    assert.match(
      await say(await opened.openName('a.example', 80), get('a.example')),
      /^HTTP\/1\.1 200 [\s\S]*hi$/,
    );
    assert.match(
      heads[0]!,
      /^CONNECT a\.example:80 HTTP\/1\.1\r\nHost: a\.example:80\r\nProxy-Authorization: Basic /,
    );
    assert.match(heads[0]!, new RegExp(Buffer.from('me:se cret').toString('base64')));
    assert.deepEqual([opened.lookups, opened.dialed], [[], []]);
    assert.match(await say(await opened.openName('no.example', 80), get('no.example')), /^HTTP\/1\.1 502 /);
    const before = heads.length;
    assert.match(await say(await opened.openName('b.example', 80), get('b.example')), /^HTTP\/1\.1 403 /);
    assert.equal(heads.length, before);
  });

  it('does not wait for one that says nothing, or too much', async () => {
    const silent = createServer((socket) => sockets.add(socket.on('error', () => {})));
    after(() => silent.close());
    const mute = { host: '127.0.0.1', port: await listenOn(silent), authorization: null };
    assert.match(JSON.stringify(await dialThrough(mute, 'a.example:1', 30)), /no answer in time/);
    const flooding = { ...mute, port: await proxy(1) };
    assert.match(JSON.stringify(await dialThrough(flooding, 'flood.example:1', 5_000)), /too much/);
  });
});
