// The origin: answers each request with the same 1 KiB, `/bulk` and the plain port with as many bytes as are asked for.
// Cheap on purpose, so that what is measured is the door. Tells its ports by IPC.

import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { Authority } from '../../src/egress/tls/authority.ts';
import { pourPattern, takePattern } from '../../test/egress/pattern.ts';
import { ANSWER, CHUNK, type OriginConfig } from './words.ts';

process.once('message', async ({ authority }: OriginConfig) => {
  const ca = await Authority.open(authority);
  const tls = createTlsServer(
    {
      ALPNProtocols: ['http/1.1'],
      SNICallback: (name, done) => {
        ca.contextFor({ kind: 'name', name }).then((context) => done(null, context), done);
      },
    },
    (socket) => serve(socket),
  );
  tls.on('tlsClientError', () => {});
  const plain = createServer((socket) => {
    socket.setNoDelay(true);
    serve(socket);
  });
  for (const server of [tls, plain]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  const port = (server: { address(): unknown }) => (server.address() as AddressInfo).port;
  process.send!({ tls: port(tls), plain: port(plain) });
});
process.once('disconnect', () => process.exit(0));

/** Heads come whole here: loopback, and small. */
function serve(socket: Socket): void {
  socket.on('error', () => {});
  socket.on('data', function serve(data: Buffer) {
    const exact = /^EXACT (\d+)\n/.exec(data.toString('latin1', 0, 40));
    if (exact) {
      socket.off('data', serve);
      compare(socket, Number(exact[1]), data.subarray(exact[0].length));
      return;
    }
    const text = data.toString('latin1');
    if (text.startsWith('POST /untaken ')) return void socket.pause();
    const bulk = /^GET \/bulk\/(\d+) /.exec(text);
    if (bulk) {
      const bytes = Number(bulk[1]);
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`);
      pour(socket, bytes);
    } else for (const _ of text.matchAll(/\r\n\r\n/g)) socket.write(ANSWER);
  });
}

function compare(socket: Socket, bytes: number, first: Buffer): void {
  const taken = takePattern(socket, bytes);
  if (first.length > 0) socket.emit('data', first);
  Promise.all([pourPattern(socket, bytes), taken]).then(
    () => socket.write('same\n'),
    (error: Error) => socket.end(`${error.message}\n`),
  );
}

function pour(socket: Socket, bytes: number): void {
  let left = bytes;
  const more = () => {
    while (left > 0) {
      const part = left >= CHUNK.length ? CHUNK : CHUNK.subarray(0, left);
      left -= part.length;
      if (!socket.write(part)) {
        socket.once('drain', more);
        return;
      }
    }
  };
  more();
}
