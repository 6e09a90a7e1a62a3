// The guest's side of HTTP/2, inside intercepted TLS: bytes on a real socket, an origin of HTTP/1.1 behind it. Whatever
// comes, the connection ends when its client goes, every request that was begun has its end in the audit, and the
// origin gets whole requests by the book, or the beginning of one.
//
// An input is a list of frames: type, flags, stream, two bytes of length, payload; their real heads are made from that,
// or most of what was bred would be of a wrong length. Type 0x81 is a HEADERS whose payload is text: lines of
// `name: value`. An input that begins with `R` is sent as it is.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Door } from '../../src/egress/flow/context.ts';
import { DOOR_LIMITS } from '../../src/egress/flow/parts.ts';
import { serveHttp2 } from '../../src/egress/http/front-http2.ts';
import { FuzzFlows, LATE_MS, quiet } from './fuzz-flows.ts';
import type { Ran } from './target.ts';

const [DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION, TEXT] = [
  0, 1, 2, 3, 4, 6, 7, 8, 9, 0x81,
];
const [END_STREAM, END_HEADERS] = [1, 4];
const HEAD = ':path: /a\n:scheme: https\n:authority: api.example';
const GET = `:method: GET\n${HEAD}`;
const POST = `:method: POST\n${HEAD}`;

export const seeds = [
  frames([TEXT, END_STREAM | END_HEADERS, 1, GET]),
  // Node threw at it, and the audit had no end of what it had begun.
  frames([TEXT, END_STREAM | END_HEADERS, 1, `${GET}\ntrailer: x`]),
  frames([TEXT, END_HEADERS, 1, `${POST}\ncontent-length: 5`], [DATA, END_STREAM, 1, 'hello']),
  frames(
    [TEXT, END_HEADERS, 1, `${POST}\nte: trailers`],
    [DATA, 0, 1, 'abc'],
    [DATA, 0, 1, ''],
    [TEXT, END_STREAM | END_HEADERS, 1, 'grpc-status: 0'],
  ),
  frames(
    [TEXT, END_STREAM | END_HEADERS, 1, GET],
    [RST, 0, 1, '\0\0\0\x08'],
    [TEXT, END_HEADERS, 3, POST],
    [RST, 0, 3, '\0\0\0\0'],
  ),
  frames(
    [PING, 0, 0, '12345678'],
    [WINDOW, 0, 0, '\0\0\0\x01'],
    [PRIORITY, 0, 5, '\0\0\0\0\x10'],
    [GOAWAY, 0, 0, '\0\0\0\0\0\0\0\0'],
  ),
  frames([HEADERS, END_STREAM, 1, '\x82'], [CONTINUATION, END_HEADERS, 1, '\x84\x87\x01\x0bapi.example']),
  frames(
    [SETTINGS, 0, 0, '\0\x04\0\0\0\0\0\x01\0\0\0\0'],
    [TEXT, END_STREAM | END_HEADERS, 1, `${GET}\ncookie: a\ncookie: b\nexpect: 100-continue`],
  ),
  frames(
    [TEXT, END_STREAM | END_HEADERS, 1, ':method: CONNECT\n:authority: api.example:443'],
    [TEXT, END_STREAM | END_HEADERS, 3, `${GET}\nhost: other.example\ntransfer-encoding: chunked`],
  ),
  frames(
    [TEXT, END_STREAM | END_HEADERS, 1, GET.replace('/a', '/big')],
    [TEXT, END_STREAM | END_HEADERS, 3, GET.replace('/a', '/reset')],
  ),
  Buffer.from('R\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x05\0\0\0\x01\x82', 'latin1'),
];

/** Answers are as odd as the paths ask for; what it was sent is kept. */
let received: string[] = [];
const http = createHttpServer((request, response) => {
  request.resume();
  if (request.url === '/reset') request.socket.resetAndDestroy();
  else if (request.url === '/big') response.end(Buffer.alloc(300_000));
  else response.writeHead(200, { trailer: 'x-t' }).end('ok');
});
const origin = createServer((socket) => {
  const at = received.push('') - 1;
  const mine = received;
  socket.on('error', () => {});
  // Before the parser takes them.
  socket.on('data', (chunk: Buffer) => {
    mine[at] += chunk.toString('latin1');
  });
  http.emit('connection', socket);
});
http.on('clientError', (_, socket) => socket.destroy());
origin.listen(0, '127.0.0.1').unref();
await once(origin, 'listening');
const { port } = origin.address() as AddressInfo;
const flows = new FuzzFlows({ port: 443, originPort: () => port });

export async function run(bytes: Buffer): Promise<Ran> {
  received = [];
  const { theirs, ours, door, http } = await flows.begin('https');
  const answered: Buffer[] = [];
  theirs.on('data', (chunk: Buffer) => answered.push(chunk));
  const session = serveHttp2(ours, http, DOOR_LIMITS);
  const closed = new Promise<void>((resolve) => session.once('close', resolve));
  try {
    theirs.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    theirs.write(
      bytes[0] === 0x52
        ? bytes.subarray(1)
        : Buffer.concat([frame(SETTINGS, 0, 0, Buffer.alloc(0)), wire(bytes)]),
    );
    theirs.write(frame(PING, 0, 0, Buffer.from('are you?')));
    await settled(theirs, door, answered);
    theirs.destroy();
    // As `intercept.ts` does when the guest's TLS is over.
    session.destroy();
    await inTime('the session does not end', closed);
    http.origins.close();
    await quiet(() => door.requests === 0, 'requests do not end');
    flows.checkAudit(received);
    return arrived(answered);
  } finally {
    theirs.destroy();
    session.destroy();
    http.origins.close();
  }
}

/** Which frames came back, as a kind of answer. */
function arrived(answered: Buffer[]): string {
  const all = Buffer.concat(answered);
  const seen = new Set<string>();
  for (let at = 0; at + 9 <= all.length; at += 9 + all.readUIntBE(at, 3)) {
    const type = all[at + 3]!;
    const code = type === RST || type === GOAWAY ? all.readUIntBE(at + 9 + (type === RST ? 0 : 4), 4) : '';
    if (type !== PING && type !== SETTINGS) seen.add(`${type}${code === '' ? '' : ` ${code}`}`);
  }
  return `${[...seen].sort().join(', ')}; ${flows.statuses()}`;
}

/** Until the PING was answered and nothing is under way; what waits for more of the client is not waited for. */
async function settled(theirs: Socket, door: Door, answered: Buffer[]): Promise<void> {
  for (let turns = 0; turns < 40 && !theirs.destroyed && !theirs.readableEnded; turns++) {
    const pong = Buffer.concat(answered).includes('are you?');
    if (pong && door.requests === 0) return;
    await new Promise((resolve) => setTimeout(resolve, turns < 20 ? 0 : 2));
  }
}

async function inTime(why: string, work: Promise<unknown>): Promise<void> {
  const timer = Promise.withResolvers<'late'>();
  const end = setTimeout(() => timer.resolve('late'), LATE_MS);
  const first = await Promise.race([work, timer.promise]);
  clearTimeout(end);
  assert.notEqual(first, 'late', why);
}

function frames(...list: [type: number, flags: number, stream: number, payload: string][]): Buffer {
  return Buffer.concat(
    list.flatMap(([type, flags, stream, payload]) => {
      const bytes = Buffer.from(payload, 'latin1');
      return [Buffer.from([type, flags, stream, bytes.length >> 8, bytes.length & 255]), bytes];
    }),
  );
}

function wire(script: Buffer): Buffer {
  const made: Buffer[] = [];
  for (let at = 0; at + 5 <= script.length; ) {
    const [type, flags, stream] = [script[at]!, script[at + 1]!, script[at + 2]!];
    const payload = script.subarray(at + 5, at + 5 + script.readUInt16BE(at + 3));
    at += 5 + payload.length;
    made.push(
      type === TEXT ? frame(HEADERS, flags, stream, literal(payload)) : frame(type, flags, stream, payload),
    );
  }
  return Buffer.concat(made);
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.set([type, flags], 3);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** HPACK without its tables. */
function literal(payload: Buffer): Buffer {
  const parts = payload
    .toString('latin1')
    .split('\n')
    .flatMap((line) => {
      const at = line.indexOf(': ', 1);
      const [name, value] = at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 2)];
      return [Buffer.from([0]), text(name), text(value)];
    });
  return Buffer.concat(parts);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  const length = bytes.length < 127 ? [bytes.length] : [127];
  if (bytes.length >= 127) {
    let left = bytes.length - 127;
    for (; left >= 128; left >>= 7) length.push((left & 127) | 128);
    length.push(left);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}
