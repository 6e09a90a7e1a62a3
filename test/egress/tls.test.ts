// The door's certificates and its reading of a client's first TLS message.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { Duplex, duplexPair } from 'node:stream';
import { describe, it } from 'node:test';
import { type ConnectionOptions, connect, TLSSocket } from 'node:tls';
import type { Host } from '../../src/egress/names/host.ts';
import { Authority, createAuthority } from '../../src/egress/tls/authority.ts';
import { looksLikeTls, parseClientHello } from '../../src/egress/tls/client-hello.ts';

const EXAMPLE: Host = { kind: 'name', name: 'example.com' };
const DAY_MS = 24 * 3_600_000;

describe('the authority', () => {
  it('is made as PEM and opened again; a foreign key is refused', async () => {
    const pem = await createAuthority('Warren test');
    const authority = await Authority.open(pem);
    const certificate = new X509Certificate(authority.certificatePem);
    assert.equal(certificate.ca, true);
    assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
    const other = await createAuthority('Warren other');
    await assert.rejects(Authority.open({ ...pem, keyPem: other.keyPem }), /not the one/);
  });

  for (const [host, options] of [
    [EXAMPLE, { servername: 'example.com' }],
    [{ kind: 'address', family: 4, address: '192.0.2.7' }, { host: '192.0.2.7' }],
    [{ kind: 'address', family: 6, address: '2001:db8::7' }, { host: '2001:db8::7' }],
  ] as [Host, ConnectionOptions][]) {
    it(`issues for ${options.servername ?? options.host}, and for that alone`, async () => {
      const authority = await Authority.open(await createAuthority('Warren test'));
      await shake(authority, host, options);
      await assert.rejects(
        shake(authority, host, { servername: 'other.example' }),
        /does not match certificate/,
      );
    });
  }

  it('issues for the longest name that there is', async () => {
    const authority = await Authority.open(await createAuthority('Warren test'));
    const name = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`;
    await shake(authority, { kind: 'name', name }, { servername: name });
  });

  it('keeps 256 certificates, and makes them anew before they expire', async () => {
    let now = new Date();
    const authority = await Authority.open(await createAuthority('Warren test'), () => now);
    const first = await authority.contextFor(EXAMPLE);
    assert.equal(await authority.contextFor(EXAMPLE), first);
    now = new Date(now.getTime() + 4.9 * DAY_MS);
    assert.equal(await authority.contextFor(EXAMPLE), first);
    now = new Date(now.getTime() + 0.2 * DAY_MS);
    assert.notEqual(await authority.contextFor(EXAMPLE), first);
    for (let nr = 0; nr < 260; nr++) await authority.contextFor({ kind: 'name', name: `n${nr}.example` });
    assert.equal(authority.size, 256);
  });

  it('is good for a guest whose clock is weeks behind', async () => {
    const certificate = new X509Certificate((await createAuthority('Warren test')).certificatePem);
    assert.ok(Date.parse(certificate.validFrom) < Date.now() - 20 * DAY_MS);
  });
});

describe('a client hello', () => {
  it('is read: name and protocols', async () => {
    const bytes = await helloOf({ servername: 'Example.com', ALPNProtocols: ['h2', 'http/1.1'] });
    assert.deepEqual(parseClientHello(bytes), {
      state: 'read',
      serverName: 'Example.com',
      alpn: ['h2', 'http/1.1'],
      encryptedHello: false,
    });
    const bare = parseClientHello(await helloOf({ host: '192.0.2.1' }));
    assert.ok(bare.state === 'read' && bare.serverName === null && bare.alpn.length === 0);
  });

  it('is read from records of any size', async () => {
    const bytes = await helloOf({ servername: 'example.com' });
    const message = bytes.subarray(5);
    const cut = (size: number) => {
      const records: Buffer[] = [];
      for (let at = 0; at < message.length; at += size) {
        const part = message.subarray(at, at + size);
        records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
      }
      return Buffer.concat(records);
    };
    const read = parseClientHello(cut(Math.ceil(message.length / 16)));
    assert.ok(read.state === 'read' && read.serverName === 'example.com');
    assert.equal(parseClientHello(cut(8)).state, 'unreadable');
  });

  it('wants more for each of its beginnings, and is refused with anything behind it', async () => {
    const bytes = await helloOf({ servername: 'example.com', ALPNProtocols: ['h2'] });
    for (let length = 0; length < bytes.length; length++)
      assert.equal(parseClientHello(bytes.subarray(0, length)).state, 'incomplete', `${length}`);
    const longer = Buffer.concat([bytes, Buffer.from('x')]);
    longer.writeUInt16BE(longer.readUInt16BE(3) + 1, 3);
    assert.equal(parseClientHello(longer).state, 'unreadable');
    assert.equal(parseClientHello(longer.subarray(0, -1)).state, 'unreadable');
  });

  it('never reads another name, whichever byte is changed', async () => {
    const bytes = await helloOf({ servername: 'example.com', ALPNProtocols: ['h2'] });
    for (let at = 0; at < bytes.length; at++) {
      for (const change of [1, 0x80, 0xff]) {
        const changed = Buffer.from(bytes);
        changed[at] = changed[at]! ^ change;
        const hello = parseClientHello(changed);
        if (hello.state === 'read') assert.ok((hello.serverName?.length ?? 11) === 11, `${at}`);
      }
    }
  });

  it('is told from other first bytes', () => {
    assert.equal(looksLikeTls(Buffer.from('GET / HTTP/1.1')), false);
    assert.equal(looksLikeTls(Buffer.from([22])), true);
    assert.equal(looksLikeTls(Buffer.from([22, 2])), false);
  });
});

async function shake(authority: Authority, host: Host, options: ConnectionOptions): Promise<void> {
  const [theirs, ours] = duplexPair();
  const server = new TLSSocket(ours, { isServer: true, secureContext: await authority.contextFor(host) });
  server.on('error', () => {});
  const client = connect({ socket: theirs, ca: authority.certificatePem, ...options });
  try {
    await new Promise((resolve, reject) => client.once('secureConnect', resolve).once('error', reject));
  } finally {
    client.destroy();
    server.destroy();
  }
}

async function helloOf(options: ConnectionOptions): Promise<Buffer> {
  const chunk = Promise.withResolvers<Buffer>();
  const socket = new Duplex({
    read: () => {},
    write: (bytes: Buffer, _, done) => {
      chunk.resolve(bytes);
      done();
    },
  });
  const client = connect({ socket, ...options });
  client.on('error', () => {});
  const bytes = await chunk.promise;
  client.destroy();
  return bytes;
}
