// Flows that are taken apart cost more than others: there are fewer of them, and those at rest make room (NE 41).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import type { DoorLimits } from '../../src/egress/flow/parts.ts';
import { LATE_MS, openDoor, type TestDoor, tlsOrigin, until } from './fake-guest.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});

/** Never answers `/hang`. */
async function door({ limits }: { limits: Partial<DoorLimits> }): Promise<TestDoor> {
  const origin = await tlsOrigin((socket) => {
    socket.on('data', (head: Buffer) => {
      if (!head.includes('/hang')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
  });
  closing.push(origin.close);
  const opened = await openDoor({ allow: ['api.example'], origins: { 443: origin.port }, limits });
  closing.push(() => opened.close());
  return opened;
}

async function get(socket: TLSSocket, path: string): Promise<string> {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: api.example\r\n\r\n`);
  const [answer] = await once(socket, 'data');
  return String(answer);
}

describe('flows that are taken apart', () => {
  it('are bounded; who comes later gets the place of the one that rested longest (NE 41)', async () => {
    const opened = await door({ limits: { readFlows: 3 } });
    const sockets: TLSSocket[] = [];
    for (let nr = 0; nr < 4; nr++) {
      const socket = await opened.tls('api.example');
      sockets.push(socket);
      assert.match(await get(socket, '/'), /^HTTP\/1\.1 200/);
    }
    await once(sockets[0]!.resume(), 'close');
    await until(() => opened.door.flows === 3);
    for (const socket of sockets.slice(1)) assert.match(await get(socket, '/'), /^HTTP\/1\.1 200/);
  });

  it('are not closed for others before their first request, unless it is long in coming (NE 41)', {
    timeout: 60_000,
  }, async () => {
    const opened = await door({ limits: { readFlows: 1, placeMs: 20_000 } });
    const first = await opened.tls('api.example');
    const second = opened.tls('api.example');
    await sleep(300);
    assert.match(await get(first, '/'), /^HTTP\/1\.1 200/);
    // It has rested from then on; the second one gets its place, says nothing, and makes room for a third after a while.
    const silent = await second;
    const startedMs = performance.now();
    const third = await opened.tls('api.example');
    assert.ok(performance.now() - startedMs > 3000, 'the silent one was given its time');
    await once(silent.resume(), 'close');
    assert.match(await get(third, '/'), /^HTTP\/1\.1 200/);
  });

  it('wait while all are at work, and are given up in time, with a record (NE 41)', async () => {
    const opened = await door({ limits: { readFlows: 2, placeMs: 300 } });
    const hang = async () => {
      const socket = await opened.tls('api.example');
      socket.write('GET /hang HTTP/1.1\r\nHost: api.example\r\n\r\n');
      return socket;
    };
    const first = await hang();
    await hang();
    await until(() => opened.dialed.length === 2);
    await assert.rejects(opened.tls('api.example'));
    assert.match(JSON.stringify(opened.ended('flow')), /more than 2 connections/);
    const next = opened.tls('api.example');
    first.destroy();
    assert.match(await get(await next, '/'), /^HTTP\/1\.1 200/);
  });
});

describe('bytes of a flow that nobody reads yet', () => {
  it('may not be cut so fine that they fill the memory (NE 41)', async () => {
    const { promise, resolve } = Promise.withResolvers<string[]>();
    const opened = await openDoor({
      allow: [{ host: 'api.example', ports: [5432], protocol: 'tcp' }],
      limits: { pieces: 200 },
      resolve: () => promise,
    });
    closing.push(() => opened.close());
    const flow = await opened.openName('api.example', 5432);
    const closed = new Promise((done) => flow.once('close', done));
    for (let nr = 0; nr < 400 && !flow.destroyed; nr++)
      await new Promise((written) => flow.write('x', written));
    // Where it leads is still being looked up.
    const ended = await Promise.race([closed.then(() => 'closed'), sleep(LATE_MS, 'open', { ref: false })]);
    resolve([]);
    assert.equal(ended, 'closed');
  });
});
