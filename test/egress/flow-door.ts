// Doors of one test file, with what its flows say and where they lead; all of it ends with the file.

import { createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { after } from 'node:test';
import { listenOn, openDoor, type TestDoor } from './fake-guest.ts';

const doors: TestDoor[] = [];
export const door = async (...args: Parameters<typeof openDoor>) => {
  const opened = await openDoor(...args);
  doors.push(opened);
  return opened;
};
/** Called at the end. */
export const closing: (() => void)[] = [];
after(async () => {
  for (const each of doors) await each.close();
  for (const close of closing) close();
});
export const gone = (stream: Duplex) =>
  stream.closed ? undefined : new Promise<void>((resolve) => stream.once('close', resolve));
export const GET = (host: string) => `GET /a?b HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
export const TCP = { host: 'db.example', ports: [5432], protocol: 'tcp' };

export async function echo(): Promise<number> {
  const origin = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  closing.push(() => origin.close());
  return listenOn(origin);
}
