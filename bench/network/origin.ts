// Where the bulk goes and comes from, on this computer's loopback: as cheap as it can be, and it holds the watch. A
// connection to `source` gets so many bytes, one to `sink` sends them.

import { createServer as createHttp, type Server as HttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { listenOn, tlsOrigin } from '../../test/egress/fake-guest.ts';

const CHUNK = Buffer.alloc(256 * 1024, 'x');

export interface Origin {
  source: number;
  sink: number;
  http: number;
  https: number;
  /** Mbit/s of the next connection to `source` or `sink` that ends. */
  next(): Promise<number>;
  close(): void;
}

export async function openOrigin(bytes: number): Promise<Origin> {
  const ended: ((rate: number) => void)[] = [];
  const tell = (startedMs: number, count: number) =>
    ended.shift()?.((count * 8) / 1_000 / (performance.now() - startedMs));
  const source = createServer({ allowHalfOpen: true }, (socket) => {
    const startedMs = performance.now();
    socket.on('error', () => {});
    pour(socket, bytes);
    socket.resume().once('end', () => tell(startedMs, bytes));
  });
  const sink = createServer((socket) => {
    let startedMs = 0;
    let count = 0;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      startedMs ||= performance.now();
      count += chunk.length;
    });
    socket.once('end', () => tell(startedMs, count));
  });
  const http = createHttp(async (request, response) => {
    if (request.method === 'PUT') {
      for await (const _ of request);
      response.end();
      return;
    }
    response.writeHead(200, { 'content-length': bytes });
    pour(response as unknown as Socket, bytes);
  });
  const https = await tlsOrigin((socket) => void http.emit('connection', socket));
  const servers: (Server | HttpServer)[] = [source, sink, http];
  const [sourcePort, sinkPort, httpPort] = [
    await listenOn(source),
    await listenOn(sink),
    await listenOn(http),
  ];
  return {
    source: sourcePort,
    sink: sinkPort,
    http: httpPort,
    https: https.port,
    next: () => new Promise((resolve) => ended.push(resolve)),
    close() {
      for (const server of servers) server.close();
      http.closeAllConnections();
      https.close();
    },
  };
}

function pour(into: Socket, bytes: number): void {
  let left = bytes;
  const more = () => {
    while (left > 0) {
      const part = left >= CHUNK.length ? CHUNK : CHUNK.subarray(0, left);
      left -= part.length;
      if (!into.write(part)) {
        into.once('drain', more);
        return;
      }
    }
    into.end();
  };
  more();
}
