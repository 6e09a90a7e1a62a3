// What many flows may hold: connections to origins that nobody uses go soon, and come back when they are needed.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { after, describe, it } from 'node:test';
import { bufferBytes, idleOriginMs } from '../../src/egress/flow/share.ts';
import { openDoor, tlsOrigin, until } from './fake-guest.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});
const FLOWS = 24;

describe('many flows', () => {
  it('hold less than few, each', () => {
    assert.ok(bufferBytes(1) > bufferBytes(12));
    assert.ok(bufferBytes(12) > bufferBytes(512));
    assert.ok(idleOriginMs(1) > idleOriginMs(512));
  });

  it('keep no connections to origins that they do not use, and are served all the same', async () => {
    const open = new Set<Duplex>();
    const server = createServer((_, response) => response.end('ok'));
    server.keepAliveTimeout = 60_000;
    const origin = await tlsOrigin((socket) => {
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      server.emit('connection', socket);
    });
    closing.push(origin.close, () => server.closeAllConnections());
    const door = await openDoor({ allow: ['api.example'], origins: { 443: origin.port } });
    closing.push(() => door.close());
    const ask = async (socket: Duplex) => {
      let text = '';
      const onData = (chunk: Buffer) => {
        text += chunk.toString();
      };
      socket.on('data', onData);
      socket.write('GET / HTTP/1.1\r\nHost: api.example\r\n\r\n');
      await until(() => text.endsWith('ok'));
      socket.off('data', onData);
    };
    const sockets = [];
    for (let nr = 0; nr < FLOWS; nr++) {
      const socket = await door.tls('api.example');
      sockets.push(socket);
      await ask(socket);
    }
    // Not those that are open: on a busy computer the first of the late ones have gone by now.
    assert.equal(origin.connections(), FLOWS);
    const early = 16;
    await until(() => open.size === early);
    await ask(sockets.at(-1)!);
    assert.equal(origin.connections(), FLOWS + 1);
    assert.equal(door.door.flows, FLOWS);
  });
});
