// Listening on loopback, never elsewhere.

import type { AddressInfo, Server } from 'node:net';

export type Loopback = '127.0.0.1' | '::1';

/** Answers the port (0 asks for a free one). Rejects with the system's error. */
export function listen(server: Server, port: number, host: Loopback): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(error);
    server.once('error', onError);
    server.listen({ port, host, exclusive: true }, () => {
      server.off('error', onError);
      server.on('error', () => {});
      resolve((server.address() as AddressInfo).port);
    });
  });
}

export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}
