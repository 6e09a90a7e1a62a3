// A program that is loaded into the reference implementation of devcontainers before itself. Whom it asks is for a
// repository and for what answers to say, and it would take whatever comes, of any length, over plain HTTP as well. Only a
// registry of this computer, which it calls `localhost` and asks so by itself, may.

import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';

type Request = (...args: unknown[]) => ClientRequest;
type Asks = Record<'request' | 'get', Request>;

/** CommonJS. `maxBytes`: of one answer, which is held in memory. */
export function guardProgram(maxBytes: number): string {
  return `(${guard})(require('node:http'), require('node:https'), ${maxBytes});\n`;
}

/** Runs elsewhere, by its text: it knows nothing but what it is given. */
function guard(http: Asks, https: Asks, maxBytes: number): void {
  const hostAndPath = (wanted: string | URL | RequestOptions): { host: string; path: string } => {
    if (typeof wanted === 'string' || wanted instanceof URL) {
      const { hostname, pathname } = new URL(wanted);
      return { host: hostname, path: pathname };
    }
    return { host: wanted.hostname ?? wanted.host ?? 'localhost', path: wanted.path ?? '/' };
  };
  const limited = (request: ClientRequest): ClientRequest =>
    request.prependOnceListener('response', (answer: IncomingMessage) => {
      let bytes = 0;
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > maxBytes) answer.destroy(new Error(`an answer is longer than ${maxBytes} bytes`));
      });
    });
  for (const name of ['request', 'get'] as const) {
    const plain = http[name];
    const overTls = https[name];
    https[name] = (...args) => limited(overTls(...args));
    http[name] = (...args) => {
      const { host, path } = hostAndPath(args[0] as string | URL | RequestOptions);
      if (host === 'localhost' && path.startsWith('/v2/')) return limited(plain(...args));
      throw new Error(
        `plain HTTP to ${host} is refused: whatever is on the way could change what is fetched`,
      );
    };
  }
}
