// A long flow: every byte of it arrives, both ways at once, and what it holds in memory does not grow with it. The
// bench carries 6 GiB each way (`npm run bench -- door --exact 6`).

import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { listenOn, openDoor, tlsOrigin } from './fake-guest.ts';
import { PatternCheck, pourPattern, takePattern } from './pattern.ts';

const MIB = 1024 ** 2;
const BYTES = 256 * MIB;
const MAX_GROWN_BYTES = 160 * MIB;
const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});

/** Pours while it takes, and leaves what became of both. */
function exactly(told: PromiseWithResolvers<unknown>): (socket: Socket) => void {
  return (socket) => {
    socket.on('error', () => {});
    Promise.all([pourPattern(socket, BYTES), takePattern(socket, BYTES)]).then(told.resolve, told.reject);
  };
}

describe('a flow of 256 MiB each way at once', () => {
  for (const [what, allow, isSecure] of [
    ['of TCP', { host: 'long.example', ports: [5432], protocol: 'tcp' }, false],
    [
      'of TLS that passes through',
      { host: 'long.example', ports: [5432], protocol: 'tls-passthrough' },
      true,
    ],
  ] as const)
    it(`${what} is byte-exact, and its memory is bounded`, async () => {
      const told = Promise.withResolvers<unknown>();
      let port: number;
      if (isSecure) {
        const origin = await tlsOrigin(exactly(told));
        closing.push(origin.close);
        port = origin.port;
      } else {
        const origin = createServer(exactly(told));
        closing.push(() => origin.close());
        port = await listenOn(origin);
      }
      const opened = await openDoor({ allow: [allow], origins: { 5432: port } });
      closing.push(() => opened.close());
      const stream = isSecure
        ? await opened.tlsThrough('long.example', 5432)
        : await opened.openName('long.example', 5432);
      const before = process.memoryUsage.rss();
      let most = before;
      const look = setInterval(() => {
        most = Math.max(most, process.memoryUsage.rss());
      }, 50);
      await Promise.all([pourPattern(stream, BYTES), takePattern(stream, BYTES), told.promise]);
      clearInterval(look);
      assert.ok(most - before < MAX_GROWN_BYTES, `${Math.round((most - before) / MIB)} MiB more`);
      stream.destroy();
    });
});

it('a byte that was exchanged is found', () => {
  const check = new PatternCheck();
  const other = Buffer.alloc(10, 1);
  assert.throws(() => check.push(other), /another byte/);
});
