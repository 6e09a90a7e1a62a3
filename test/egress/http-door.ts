// A door with origins of HTTP behind it, all closed with the test file.

import { createServer, type Server as HttpServer } from 'node:http';
import type { Server } from 'node:net';
import { after } from 'node:test';
import { type DoorOptions, listenOn, openDoor, rawOrigin, type TestDoor, tlsOrigin } from './fake-guest.ts';

export const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});
export const HTTP = { host: 'api.example', http: true };
export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

export async function door(options: DoorOptions = {}): Promise<TestDoor> {
  const opened = await openDoor({ allow: [HTTP, 'tls.example'], ...options });
  closing.push(() => opened.close());
  return opened;
}

/** Answers each request by its head alone, and keeps what it was sent. */
export async function plainOrigin(answer = OK) {
  const origin = await rawOrigin((socket, received) => {
    let seen = 0;
    socket.on('data', () => {
      const heads = received().split('\r\n\r\n').length - 1;
      for (; seen < heads; seen++) socket.write(answer, 'latin1');
    });
  });
  closing.push(origin.close);
  return origin;
}

export async function httpOrigin(server: HttpServer): Promise<number> {
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return listenOn(server as unknown as Server);
}

export async function tlsHttpOrigin(onRequest: Parameters<typeof createServer>[1] & {}, as?: string) {
  const server = createServer(onRequest);
  const origin = await tlsOrigin((socket) => server.emit('connection', socket), ['http/1.1'], as);
  closing.push(origin.close);
  return origin;
}
