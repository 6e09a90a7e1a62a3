// The first message of a TLS client: what was read stays what it is however the bytes were cut, and OpenSSL, which
// reads it after us, finds the same name in it.

import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect, TLSSocket } from 'node:tls';
import { classify } from '../../src/egress/flow/classify.ts';
import {
  type ClientHello,
  looksLikeTls,
  MAX_HELLO_BYTES,
  parseClientHello,
} from '../../src/egress/tls/client-hello.ts';
import type { Ran } from './target.ts';

const plain = await helloOf({ servername: 'example.com', ALPNProtocols: ['h2', 'http/1.1'] });
export const seeds = [
  plain,
  await helloOf({ servername: 'a.example', maxVersion: 'TLSv1.2' }),
  await helloOf({ host: '127.0.0.1' }),
  records(plain.subarray(5), 40),
  records(plain.subarray(5), 1),
  Buffer.concat([plain, Buffer.from('16030100', 'hex')]),
  followed(await helloOf({ servername: 'a.example' })),
  Buffer.from('GET / HTTP/1.1\r\n\r\n'),
];

export async function run(bytes: Buffer): Promise<Ran> {
  const hello = parseClientHello(bytes);
  assert.deepEqual(parseClientHello(Buffer.from(bytes)), hello);
  prefixes(bytes, hello);
  if (hello.state === 'unreadable') {
    assert.match(hello.why, /^[\x20-\x7e]+$/);
    return hello.why;
  }
  if (hello.state === 'incomplete') {
    assert.ok(bytes.length <= MAX_HELLO_BYTES);
    return looksLikeTls(bytes) ? 'incomplete' : 'empty';
  }
  const { serverName, alpn } = hello;
  assert.ok(serverName === null || (serverName.length > 0 && serverName.length < 256));
  assert.ok(alpn.every((each) => each.length > 0 && each.length < 256));
  const named = await readByOpenSsl(bytes);
  if (named !== undefined) assert.equal(named, serverName, 'OpenSSL reads another name');
  return `read ${serverName === null ? 'no name' : 'a name'}, ${Math.min(3, alpn.length)} protocols, encrypted ${hello.encryptedHello}, OpenSSL ${named !== undefined}`;
}

/** Fewer bytes are the same answer or none yet. */
function prefixes(bytes: Buffer, whole: ClientHello): void {
  const all = classify(bytes);
  for (const cut of [1, 5, 9, bytes.length >> 1, bytes.length - 1]) {
    if (cut >= bytes.length || cut < 0) continue;
    const part = bytes.subarray(0, cut);
    const before = parseClientHello(part);
    const [found, later] = [withoutWhy(before), withoutWhy(whole)];
    if (before.state !== 'incomplete') assert.deepEqual(found, later, `cut at ${cut}`);
    const spoken = classify(part);
    if (spoken.kind !== 'unclear') assert.deepEqual(withoutWhy(spoken), withoutWhy(all), `cut at ${cut}`);
  }
}

/** More bytes may be wrong in one more way. */
function withoutWhy(answer: object): object {
  return { ...answer, why: undefined };
}

/** The name that a TLS server of OpenSSL finds; undefined when it refuses the message before. */
async function readByOpenSsl(bytes: Buffer): Promise<string | null | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | null | undefined>();
  const wire = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  const server = new TLSSocket(
    wire as never,
    {
      isServer: true,
      // It is called with what the client asked for, or with `false`; nothing is answered.
      SNICallback: (name: string | false) => resolve(name || null),
    } as never,
  );
  server.on('error', () => resolve(undefined));
  server.once('close', () => resolve(undefined));
  wire.on('error', () => {});
  wire.push(bytes);
  setImmediate(() => setImmediate(() => resolve(undefined)));
  const name = await promise;
  server.destroy();
  wire.destroy();
  return name;
}

async function helloOf(options: ConnectionOptions): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const wire = new Duplex({ read() {}, write: (chunk: Buffer) => resolve(chunk) });
  const client = connect({ ...options, socket: wire });
  client.on('error', () => {});
  const hello = await promise;
  client.destroy();
  return hello;
}

/** A record that says that one more byte follows the message. It was once read before that byte came. */
function followed(hello: Buffer): Buffer {
  const made = Buffer.concat([hello, Buffer.from([0])]);
  made.writeUInt16BE(made.length - 5, 3);
  return made;
}

/** The same message in records of so many bytes. */
function records(message: Buffer, bytes: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < message.length; at += bytes) {
    const part = message.subarray(at, at + bytes);
    parts.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(parts);
}
