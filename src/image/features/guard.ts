// Loaded into the reference implementation of devcontainers before itself. Whom it asks is for a repository and for what
// answers to say, and it would take whatever comes, of any length, over plain HTTP as well. Only a registry of this
// computer, which it calls `localhost` and asks so by itself, may.

import http, { type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';
import { ANSWER_BYTES_VARIABLE } from './limits.ts';

type Request = (...args: unknown[]) => ClientRequest;

const maxBytes = Number(process.env[ANSWER_BYTES_VARIABLE]);

for (const name of ['request', 'get'] as const) {
  const overTls = https[name] as Request;
  const plain = http[name] as Request;
  Object.assign(https, { [name]: (...args: unknown[]) => limited(overTls(...args)) });
  Object.assign(http, {
    [name]: (...args: unknown[]) => {
      const { host, path } = whatIsAsked(args[0] as string | URL | RequestOptions);
      if (host !== 'localhost' || !path.startsWith('/v2/'))
        throw new Error(
          `plain HTTP to ${host} is refused: whatever is on the way could change what is fetched`,
        );
      return limited(plain(...args));
    },
  });
}

function whatIsAsked(wanted: string | URL | RequestOptions): { host: string; path: string } {
  if (typeof wanted === 'string' || wanted instanceof URL) {
    const { hostname, pathname } = new URL(wanted);
    return { host: hostname, path: pathname };
  }
  return { host: wanted.hostname ?? wanted.host ?? 'localhost', path: wanted.path ?? '/' };
}

function limited(request: ClientRequest): ClientRequest {
  return request.prependOnceListener('response', (answer: IncomingMessage) => {
    let bytes = 0;
    answer.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) answer.destroy(new Error(`an answer is longer than ${maxBytes} bytes`));
    });
  });
}
