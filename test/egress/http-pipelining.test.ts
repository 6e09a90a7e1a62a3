// A client that sends its next requests before it has taken the answers to those before, as apt does: ten ahead.

import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { guestCa } from './fake-guest.ts';
import { door, httpOrigin, tlsHttpOrigin } from './http-door.ts';

const AHEAD = 10;
const REQUESTS = 60;
const SMALL_BYTES = 1_000;
const LARGE_BYTES = 700_000;
const SLOW_MS = 2;
const TOGETHER_MS = 20;

const bytesOf = (nr: number) => (nr % 3 === 0 ? LARGE_BYTES : SMALL_BYTES);

const origin: RequestListener = ({ url }, response) => {
  const nr = Number(url!.slice(1));
  response.end(Buffer.alloc(bytesOf(nr), nr));
};

/** Resolves when all answers have come, each whole and in its turn. */
async function take(stream: Duplex, host: string): Promise<void> {
  let asked = 0;
  const ask = () => {
    if (asked < REQUESTS) stream.write(`GET /${asked++} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  };
  for (let nr = 0; nr < AHEAD; nr++) ask();
  let rest = Buffer.alloc(0);
  let answered = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const end = rest.indexOf('\r\n\r\n') + 4;
      const bytes = bytesOf(answered);
      if (end < 4 || rest.length < end + bytes) break;
      assert.match(rest.subarray(0, end).toString('latin1'), /^HTTP\/1\.1 200 OK\r\n/);
      assert.ok(rest.subarray(end, end + bytes).equals(Buffer.alloc(bytes, answered)), `answer ${answered}`);
      rest = rest.subarray(end + bytes);
      answered += 1;
      ask();
    }
    if (answered === REQUESTS) return;
    await sleep(SLOW_MS);
  }
  assert.fail(`the connection ended after ${answered} answers`);
}

/** What is written within a few milliseconds travels together, as an agent that was busy sends it. */
function together(stream: Duplex): Duplex {
  let kept: Buffer[] = [];
  stream.on('data', (chunk) => duplex.push(chunk) || stream.pause());
  stream.on('end', () => duplex.push(null));
  stream.on('close', () => duplex.destroy());
  const duplex = new Duplex({
    read: () => void stream.resume(),
    write(chunk: Buffer, _, done) {
      if (kept.push(chunk) === 1)
        setTimeout(() => {
          stream.write(Buffer.concat(kept));
          kept = [];
        }, TOGETHER_MS);
      done();
    },
  });
  return duplex;
}

describe('requests ahead of answers that are taken slowly', () => {
  it('are answered one after the other', async () => {
    const opened = await door({ origins: { 80: await httpOrigin(createServer(origin)) } });
    await take(together(await opened.openName('api.example', 80)), 'api.example');
  });

  it('are so inside TLS', async () => {
    const { port } = await tlsHttpOrigin(origin);
    const opened = await door({ origins: { 443: port } });
    const socket = together(await opened.openName('tls.example', 443));
    await take(connectTls({ socket, servername: 'tls.example', ca: guestCa.certificatePem }), 'tls.example');
  });
});
