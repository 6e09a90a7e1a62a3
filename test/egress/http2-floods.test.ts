// Floods of frames that cost their sender next to nothing: each ends the connection it came through, or takes no memory.

import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { serveEgress } from '../../src/egress/flow/serve.ts';
import { openDoor, socketPair } from './fake-guest.ts';

const [DATA, HEADERS, PRIORITY, SETTINGS, PING, WINDOW, CONTINUATION, UNKNOWN] = [0, 1, 2, 4, 6, 8, 9, 0x20];
const END_HEADERS = 4;
const FLOOD_BYTES = 64 * 1024 * 1024;
/** Of the loop, a while apart: where each has run and nothing was taken, nobody takes it. */
const HELD_TURNS = 100;
const TURN_MS = 20;
/** What passes lies about until it is collected; if each frame were kept, it would be half a GiB and more. */
const MORE_BYTES = 200 * 1024 * 1024;

const opened = await openDoor({ allow: ['tls.example'] });
after(() => opened.close());

function frame(type: number, flags: number, stream: number, payload = ''): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, Buffer.from(payload, 'latin1')]);
}

/** HPACK without its tables. */
function literal(headers: string): string {
  return headers
    .split('\n')
    .map((line) => line.split(' = '))
    .map(([name = '', value = '']) =>
      ['\0', String.fromCharCode(name.length), name, String.fromCharCode(value.length), value].join(''),
    )
    .join('');
}

const PREFACE = `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${frame(SETTINGS, 0, 0).toString('latin1')}`;
const CONNECT = literal(':method = CONNECT\n:authority = 1.2.3.4:5432');
const POST = literal(':method = POST\n:scheme = https\n:authority = tls.example\n:path = /');

const ends: Record<string, () => Promise<{ stream: Duplex; head: string }>> = {
  'the channel': async () => {
    const [theirs, ours] = await socketPair();
    serveEgress(ours, opened.parts);
    return { stream: theirs, head: CONNECT };
  },
  'intercepted TLS': async () => ({
    stream: await opened.tls('tls.example', { alpn: ['h2'] }),
    head: POST,
  }),
};

for (const [where, open] of Object.entries(ends))
  describe(`over ${where}, a flood of`, () => {
    const floods: [what: string, before: (head: string) => Buffer[], one: Buffer, staysOpen?: true][] = [
      ['PING', () => [], frame(PING, 0, 0, '12345678')],
      ['SETTINGS', () => [], frame(SETTINGS, 0, 0, '\0\x04\0\0\xff\xff')],
      ['PRIORITY', () => [], frame(PRIORITY, 0, 1, '\0\0\0\0\x10')],
      ['frames of no known kind', () => [], frame(UNKNOWN, 0, 0, 'x')],
      ['WINDOW_UPDATE', () => [], frame(WINDOW, 0, 0, '\0\0\0\x01'), true],
      ['CONTINUATION', (head) => [frame(HEADERS, 0, 1, head)], frame(CONTINUATION, 0, 1)],
      ['empty DATA', (head) => [frame(HEADERS, END_HEADERS, 1, head)], frame(DATA, 0, 1)],
    ];
    for (const [what, before, one, staysOpen] of floods)
      it(`${what} ends it, or takes no memory (NE 41)`, async () => {
        const { stream, head } = await open();
        stream.on('error', () => {});
        // What is answered is not read.
        stream.pause();
        const start = process.memoryUsage().rss;
        stream.write(Buffer.concat([Buffer.from(PREFACE, 'latin1'), ...before(head)]));
        const block = Buffer.concat(Array<Buffer>(2_000).fill(one));
        let sent = 0;
        let isTaken = true;
        for (; sent < FLOOD_BYTES && isTaken && !stream.destroyed; sent += block.length)
          isTaken = await taken(stream, block);
        const more = process.memoryUsage().rss - start;
        assert.ok(more < MORE_BYTES, `${more} bytes more`);
        // One that waits for its answers to be read is held up, which harms nobody else.
        assert.equal(stream.destroyed || !isTaken, staysOpen !== true, `after ${sent} bytes`);
        stream.destroy();
      });
  });

async function taken(stream: Duplex, block: Buffer): Promise<boolean> {
  if (stream.write(block)) {
    await new Promise(setImmediate);
    return true;
  }
  const ways = Promise.withResolvers<void>();
  let isTaken = false;
  const goes = () => {
    isTaken = true;
    ways.resolve();
  };
  stream.once('drain', goes).once('close', goes);
  for (let turn = 0; turn < HELD_TURNS && !isTaken; turn++)
    await Promise.race([ways.promise, sleep(TURN_MS)]);
  stream.off('drain', goes).off('close', goes);
  return isTaken;
}
