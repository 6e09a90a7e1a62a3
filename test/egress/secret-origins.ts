// A door with a secret, and origins that write down what they received: one the secret belongs to, another, and one
// without TLS.

import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { after } from 'node:test';
import type { SecretBinding } from '../../src/egress/secret/binding.ts';
import { makePlaceholder } from '../../src/egress/secret/placeholder.ts';
import { secretValues } from '../../src/egress/secret/sources.ts';
import { createSecrets } from '../../src/egress/secret/substitute.ts';
import { listenOn, openDoor, rawOrigin, say, tlsOrigin } from './fake-guest.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});
export const OWN = 'own.example';
export const OTHER = 'other.example';
export const REAL = 'the-real-value';
export const PLACEHOLDER = makePlaceholder('wrn_');

export interface Seen {
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
}

export async function setUp(
  over: Partial<SecretBinding> = {},
  answer: (seen: Seen, ...rest: Parameters<RequestListener>) => void = (_, __, response) =>
    response.end('ok'),
) {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    try {
      for await (const chunk of request) body += chunk;
    } catch {
      return;
    }
    const one = { url: request.url!, headers: request.headers, body };
    seen.push(one);
    answer(one, request, response);
  });
  const own = await tlsOrigin((socket) => server.emit('connection', socket), ['http/1.1'], OWN);
  const other = await tlsOrigin((socket) => server.emit('connection', socket), ['http/1.1'], OTHER);
  const plain = await rawOrigin((_, received) => {
    seen.push({ url: received(), headers: {}, body: '' });
  });
  const binding: SecretBinding = {
    name: 'TOKEN',
    hosts: [OWN],
    placeholder: PLACEHOLDER,
    source: { kind: 'value', value: REAL },
    query: false,
    body: false,
    ...over,
  };
  const secrets = createSecrets([binding], secretValues());
  const origins: Record<number, number> = { 443: own.port, 80: plain.port };
  const door = await openDoor({
    allow: [{ host: OWN, http: true }, OTHER],
    origins,
    secrets,
  });
  closing.push(own.close, other.close, plain.close, () => door.close());
  /** The dialer knows only ports: it is told beforehand where to. */
  const ask = async (host: string, head: string, body = '') => {
    origins[443] = host === OWN ? own.port : other.port;
    return await say(await door.tls(host), `${head}\r\nHost: ${host}\r\nConnection: close\r\n\r\n${body}`);
  };
  const notices = () => door.ended('notice').map((event) => 'code' in event && event.code);
  /** From now on the same server is reached in plain text. */
  const plainly = async () => {
    origins[80] = await listenOn(server as never);
    closing.push(() => server.close());
  };
  return { door, seen, secrets, binding, ask, notices, plainly };
}

export const post = (body: string, type = 'text/plain', more = '') =>
  `POST /p HTTP/1.1\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}${more}`;
