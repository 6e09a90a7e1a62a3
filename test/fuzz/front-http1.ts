// The guest's side of HTTP/1.1 and the origin's, both hostile. Whatever comes, nothing is thrown out of an event (that
// would end the door), the guest gets answers of HTTP or none, every request that was begun has its end in the audit, and
// the origin gets requests by the book. An input is what the guest sends, `SEPARATOR`, and what each connection to the
// origin says; there, another `SEPARATOR` waits for the next bytes that come.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { DOOR_LIMITS } from '../../src/egress/flow/parts.ts';
import { FrontHttp1 } from '../../src/egress/http/front-http1.ts';
import { FuzzFlows, quiet } from './fuzz-flows.ts';
import type { Ran } from './target.ts';

const SEPARATOR = '\n====\n';
const TURN_MS = 12;
/** A request whose connection had gone is sent again. */
const SENDINGS = 2;
const HOST = 'Host: api.example\r\n';
const UPGRADE = `${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`;
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const CHUNKED =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n2\r\nok\r\n0\r\nx: 1\r\n\r\n';

const requests = [
  `GET / HTTP/1.1\r\n${HOST}\r\n`,
  `POST /a HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n${HOST}\r\n`,
  `POST /a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nTrailer: x\r\n\r\n3;e=1\r\nabc\r\n0\r\nx: 1\r\n\r\n`,
  `PUT /c HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello`,
  `HEAD /h HTTP/1.0\r\n${HOST}\r\n`,
  `GET /ws HTTP/1.1\r\n${UPGRADE}abc`,
  `GET /1 HTTP/1.1\r\n${HOST}\r\nGET /2 HTTP/1.1\r\n${UPGRADE}`,
  `GET /1 HTTP/1.1\r\n${HOST}\r\nCONNECT api.example:80 HTTP/1.1\r\n${HOST}\r\n`,
  `GET http://api.example/ HTTP/1.1\r\n${HOST}TE: trailers\r\nConnection: close, TE\r\n\r\n`,
];
const answers = [
  OK,
  CHUNKED,
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n',
  `HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\n${OK}`,
  'HTTP/1.0 200 OK\r\n\r\nuntil the end',
  'HTTP/1.1 401 No\r\nConnection: close, x\r\nX: y\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 200 \u0001\r\nContent-Length: 0\r\n\r\n',
  `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${SEPARATOR}ok`,
];
export const seeds = [
  ...requests.map((request) => request + SEPARATOR + OK),
  ...answers.flatMap((answer) => [0, 1, 2, 5].map((nr) => requests[nr] + SEPARATOR + answer)),
  requests[1] + SEPARATOR + OK + SEPARATOR + CHUNKED,
];

let script: Buffer[] = [];
let received: string[] = [];
const origin = createServer({ allowHalfOpen: true }, (socket) => {
  const [mine, at] = [received, received.push('') - 1];
  const parts = [...script];
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    mine[at] += chunk.toString('latin1');
    const part = parts.shift();
    if (part && socket.writable) socket.write(part);
    if (parts.length === 0) setTimeout(() => socket.end(), TURN_MS / 3);
  });
  socket.once('end', () => socket.end());
});
origin.listen(0, '127.0.0.1').unref();
await once(origin, 'listening');
const { port } = origin.address() as AddressInfo;
const flows = new FuzzFlows({ port: 80, originPort: () => port });

export async function run(bytes: Buffer): Promise<Ran> {
  const [sent = Buffer.alloc(0), ...said] = split(bytes);
  script = said.length > 0 ? said : [Buffer.from(OK)];
  received = [];
  const thrown: Error[] = [];
  const onThrown = (error: Error) => void thrown.push(error);
  process.on('uncaughtException', onThrown);
  // Its checks of slow heads would keep the process.
  const front = new FrontHttp1(DOOR_LIMITS);
  const { theirs, ours, door, http } = await flows.begin('http');
  try {
    front.serve(ours, http);
    const got = await talk(theirs, sent);
    http.origins.close();
    await quiet(() => door.requests === 0, 'requests do not end');
    await quiet(() => ours.destroyed, 'the connection stays open');
    if (thrown.length > 0) throw thrown[0];
    if (got !== '') assert.match(got, /^HTTP\/1\.1 \d{3} /);
    flows.checkAudit(received, SENDINGS);
    const statuses = [...got.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => status);
    return `${statuses.slice(0, 3).join(' ')}; ${flows.statuses()}`;
  } finally {
    theirs.destroy();
    ours.destroy();
    http.origins.close();
    front.close();
    process.off('uncaughtException', onThrown);
  }
}

function split(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let from = 0;
  for (let at = bytes.indexOf(SEPARATOR); at >= 0; at = bytes.indexOf(SEPARATOR, from)) {
    parts.push(bytes.subarray(from, at));
    from = at + SEPARATOR.length;
  }
  return [...parts, bytes.subarray(from)];
}

async function talk(socket: Socket, sent: Buffer): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(sent);
  const timer = setTimeout(() => socket.destroy(), TURN_MS);
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  clearTimeout(timer);
  return Buffer.concat(chunks).toString('latin1');
}
