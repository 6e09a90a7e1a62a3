// The user's own proxy as the way out: a CONNECT for each connection. What it answers before the connection stands is
// read up to a limit of 8 KiB; what follows is the upstream's, hostile as ever.

import { connect, type Socket } from 'node:net';

export interface UpstreamProxy {
  host: string;
  port: number;
  /** `Basic …`; null: none. */
  authorization: string | null;
}

const MAX_HEAD_BYTES = 8 * 1024;

/** `http://[user:password@]host:port`, as the settings checked it. */
export function parseUpstreamProxy(text: string): UpstreamProxy {
  const { hostname, port, username, password } = new URL(text);
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 80),
    authorization: username === '' ? null : `Basic ${Buffer.from(credentials).toString('base64')}`,
  };
}

/** `to`: `host:port`, canonical. */
export async function dialThrough(
  { host, port, authorization }: UpstreamProxy,
  to: string,
  timeoutMs: number,
): Promise<{ socket: Socket; address: string } | { failed: string }> {
  const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
  const head = [`CONNECT ${to} HTTP/1.1`, `Host: ${to}`];
  if (authorization !== null) head.push(`Proxy-Authorization: ${authorization}`);
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  const failure = await established(socket, timeoutMs);
  if (failure === null) return { socket, address: `proxy ${host}:${port}` };
  socket.destroy();
  return { failed: `${to} could not be reached through the proxy ${host}:${port}: ${failure}` };
}

/** Null once the proxy said yes; else why not. */
function established(socket: Socket, timeoutMs: number): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  let read = Buffer.alloc(0);
  const onReadable = () => {
    for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
      read = Buffer.concat([read, chunk]);
      const end = read.indexOf('\r\n\r\n');
      if (end >= 0) {
        const [, status] = /^HTTP\/1\.[01] (\d{3})[ \r]/.exec(read.toString('latin1', 0, end + 2)) ?? [];
        const rest = read.subarray(end + 4);
        if (rest.length > 0) socket.unshift(rest);
        return resolve(status?.startsWith('2') ? null : `it answered ${status ?? 'nothing that is HTTP'}`);
      }
      if (read.length > MAX_HEAD_BYTES) return resolve('it answered too much');
    }
  };
  const timer = setTimeout(() => resolve('no answer in time'), timeoutMs);
  socket.on('readable', onReadable);
  // Stays: a connection that breaks later tells whoever reads it by closing.
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'it was refused'));
  socket.once('close', () => resolve('it was closed'));
  socket.once('end', () => resolve('it was closed'));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.off('readable', onReadable);
  });
}
