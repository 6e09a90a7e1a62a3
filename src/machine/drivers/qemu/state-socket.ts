// Device state through a socket in the machine's own folder, for a QEMU that cannot open a file for it.

import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { reachableSocketPath } from '../../../host/socket-path.ts';

/** QEMU listens there; it takes what comes until the end. */
export async function sendState(file: string, socketPath: string): Promise<void> {
  const path = reachableSocketPath(socketPath);
  try {
    const socket = connect(path.name);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject);
    });
    // It closes as soon as it has all; whether it has, its migration tells.
    await pipeline(createReadStream(file), socket).catch(() => {});
  } finally {
    path.release();
  }
}

/** Listens for QEMU; `written` resolves when all that it sent is in the file. */
export async function takeState(
  file: string,
  socketPath: string,
): Promise<{ written: Promise<void>; close(): Promise<void> }> {
  const { promise: written, resolve, reject } = Promise.withResolvers<void>();
  written.catch(() => {});
  let taken: Socket | undefined;
  const server = createServer((socket) => {
    taken = socket;
    server.close();
    pipeline(socket, createWriteStream(file, { flags: 'r+' })).then(resolve, reject);
  });
  const path = reachableSocketPath(socketPath);
  try {
    await new Promise<void>((listening, failed) => {
      server.once('error', failed).listen(path.name, listening);
    });
  } finally {
    path.release();
  }
  // QEMU may be a user of its own; the folder is closed to all others.
  await chmod(socketPath, 0o666);
  return {
    written,
    async close() {
      server.close();
      taken?.destroy();
      await rm(socketPath, { force: true });
    },
  };
}
