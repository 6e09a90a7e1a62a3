// The listener of stable names between a client's bytes and a guest's, both hostile. Whatever comes, nothing is thrown
// out of an event (that would end the daemon), the client gets answers of HTTP or none, no cookie for other names, and
// nothing stays open once both sides have gone. An input is what the client sends, `SEPARATOR`, and what the guest says.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Connections } from '../../src/forward/connections.ts';
import { NamesListener } from '../../src/forward/names.ts';
import type { ForwardParts } from '../../src/forward/parts.ts';
import { WarrenError } from '../../src/protocol/error.ts';
import type { Ran } from './target.ts';

const SEPARATOR = '\n====\n';
const TURN_MS = 12;
const LATE_MS = 10_000;
const HOST = 'Host: 80-demo.localhost\r\n';
const UPGRADE = `${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAA\r\n\r\n`;
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

const requests = [
  `GET / HTTP/1.1\r\n${HOST}\r\n`,
  `POST /a HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n${HOST}\r\n`,
  `POST /a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n0\r\nx: 1\r\n\r\n`,
  `PUT /c HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello`,
  `HEAD /h HTTP/1.0\r\n${HOST}\r\n`,
  `GET /ws HTTP/1.1\r\n${UPGRADE}abc`,
  `GET /1 HTTP/1.1\r\n${HOST}\r\nGET /2 HTTP/1.1\r\n${UPGRADE}`,
  `GET /1 HTTP/1.1\r\n${HOST}\r\nCONNECT x:80 HTTP/1.1\r\n${HOST}\r\n`,
  `GET http://80-demo.localhost/ HTTP/1.1\r\n${HOST}Upgrade: h2c\r\n\r\n`,
];
const answers = [
  OK,
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n2\r\nok\r\n0\r\nx: 1\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n',
  `HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\n${OK}`,
  'HTTP/1.0 200 OK\r\n\r\nuntil the end',
  'HTTP/1.1 401 No\r\nConnection: close, x\r\nX: y\r\nSet-Cookie: a=1; Domain=localhost\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 200 \u0001\r\nContent-Length: 0\r\n\r\n',
];
export const seeds = [
  ...requests.map((request) => request + SEPARATOR + OK),
  ...answers.map((answer) => requests[0] + SEPARATOR + answer),
  ...answers.map((answer) => requests[5] + SEPARATOR + answer),
];

let said: Buffer = Buffer.alloc(0);
let opened = 0;
const guest = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {});
  socket.once('data', () => socket.write(said));
  socket.once('end', () => socket.destroy());
  socket.resume();
  setTimeout(() => socket.end(), TURN_MS / 2);
});
guest.listen(0, '127.0.0.1').unref();
await once(guest, 'listening');
const parts: ForwardParts = {
  async openPort(sandbox) {
    if (sandbox !== 'demo') throw new WarrenError({ code: 'sandbox.not-found', message: 'there is none' });
    opened += 1;
    const { port } = guest.address() as AddressInfo;
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  },
  listening: async () => [],
  isOwn: async () => true,
};
const connections = new Connections(parts);

export async function run(bytes: Buffer): Promise<Ran> {
  const at = bytes.indexOf(SEPARATOR);
  const sent = at < 0 ? bytes : bytes.subarray(0, at);
  said = at < 0 ? Buffer.from(OK) : bytes.subarray(at + SEPARATOR.length);
  opened = 0;
  const thrown: Error[] = [];
  const onThrown = (error: Error) => void thrown.push(error);
  process.on('uncaughtException', onThrown);
  // One that stays would keep the process.
  const names = await NamesListener.open(parts, connections, 0);
  try {
    const socket = connect({ port: names.port, host: '127.0.0.1' });
    const got = await talk(socket, sent);
    await quiet();
    if (thrown.length > 0) throw thrown[0];
    if (got !== '') assert.match(got, /^HTTP\/1\.1 \d{3} /);
    const heads = got.split('\r\n\r\n').filter((part) => part.startsWith('HTTP/1.1 '));
    assert.doesNotMatch(heads.join('\n'), /^set-cookie:.*;\s*domain=/im);
    return `${opened > 0 ? 'opened' : 'not opened'} ${[...got.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => status).slice(0, 3)}`;
  } finally {
    names.close();
    process.off('uncaughtException', onThrown);
  }
}

async function talk(socket: Socket, sent: Buffer): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('error', () => {}).on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(sent);
  const timer = setTimeout(() => socket.destroy(), TURN_MS);
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  clearTimeout(timer);
  return Buffer.concat(chunks).toString('latin1');
}

async function quiet(): Promise<void> {
  const endMs = performance.now() + LATE_MS;
  while (connections.count('demo') > 0) {
    assert.ok(performance.now() < endMs, 'a connection to the guest stays open');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
