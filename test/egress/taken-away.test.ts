// What is open when a rule is taken away, or one that denies is put in: it ends, and all else goes on.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import type { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import type { FlowEvent, RequestEvent } from '../../src/egress/audit/event.ts';
import { createPolicy } from '../../src/egress/policy/judge.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';
import { PUBLIC, until } from './fake-guest.ts';
import { closing, door, echo, TCP } from './flow-door.ts';
import { tlsHttpOrigin } from './http-door.ts';

const rules = (egress: object) => createPolicy([parsePolicy({ egress }, { source: 'sandbox', file: 'x' })]);
const limits = { lookAgainMs: 20 };

async function opened(egress: object, more: object = {}) {
  let policy = rules(egress);
  const self = await door({ policy: () => policy, limits, ...more });
  return { self, use: (other: object) => (policy = rules(other)) };
}

/** Whoever is still served gets its word back. */
async function goesOn(stream: Duplex): Promise<boolean> {
  if (stream.destroyed) return false;
  const heard = Promise.withResolvers<boolean>();
  stream.once('data', () => heard.resolve(true)).once('close', () => heard.resolve(false));
  stream.write('x');
  return await heard.promise;
}

describe('a flow of tcp', () => {
  const origins = async () => ({ origins: { 5432: await echo() } });
  for (const [what, then] of [
    ['its rule is taken away', { allow: [] }],
    ['a rule denies its host', { allow: [TCP], deny: ['db.example'] }],
    ['a rule denies the address that it goes to', { allow: [TCP], deny: [{ cidr: `${PUBLIC}/32` }] }],
    ['a rule for it speaks of something else', { allow: [{ ...TCP, protocol: 'https' }] }],
  ] as const)
    it(`ends when ${what}`, async () => {
      const { self, use } = await opened({ allow: [TCP] }, await origins());
      const stream = await self.openName('db.example', 5432);
      assert.ok(await goesOn(stream));
      use(then);
      await until(() => stream.destroyed);
      await until(() => self.ended('flow').length === 1);
      const [event] = self.ended('flow') as FlowEvent[];
      assert.deepEqual([event!.decision, event!.bytesUp], ['allow', 1]);
      assert.match(event!.reason!, /^it was let through and then ended: db\.example:?/);
    });

  it('goes on when other rules change', async () => {
    const { self, use } = await opened({ allow: [TCP] }, await origins());
    const stream = await self.openName('db.example', 5432);
    use({ allow: ['other.example', { ...TCP, ports: [5432, 1] }], deny: ['evil.example'] });
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.ok(await goesOn(stream));
  });

  it('that a person let through once goes on until a rule denies it', async () => {
    const { self, use } = await opened({ ask: true }, { ...(await origins()), ask: async () => true });
    const stream = await self.openName('db.example', 5432);
    assert.ok(await goesOn(stream));
    use({ allow: ['other.example'] });
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.ok(await goesOn(stream));
    use({ deny: ['db.example'] });
    await until(() => stream.destroyed);
  });
});

describe('a request that takes long', () => {
  const origin = () =>
    tlsHttpOrigin((_, response) => {
      response.write('begun');
    });

  for (const version of [1, 2])
    it(`of HTTP/${version} ends with its rule`, async () => {
      const { self, use } = await opened(
        { allow: ['tls.example'] },
        { origins: { 443: await portOf(origin()) } },
      );
      const socket = await self.tls('tls.example', { alpn: version === 1 ? ['http/1.1'] : ['h2'] });
      let stream: Duplex = socket;
      if (version === 1) socket.write('GET / HTTP/1.1\r\nHost: tls.example\r\n\r\n');
      else {
        const session = connectHttp2('https://tls.example', { createConnection: () => socket });
        session.on('error', () => {});
        closing.push(() => session.destroy());
        stream = session.request({ ':path': '/' });
      }
      stream.on('error', () => {});
      await once(stream, 'data');
      use({ allow: [{ host: 'tls.example', paths: ['/'] }] });
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.ok(!stream.destroyed);
      use({ allow: [{ host: 'tls.example', methods: ['POST'] }] });
      await until(() => stream.destroyed);
      await until(() => self.ended('request').length === 1);
      const [event] = self.ended('request') as RequestEvent[];
      assert.deepEqual([event!.decision, event!.status], ['allow', 200]);
      assert.match(event!.reason!, /then ended: GET https:\/\/tls\.example\/: only POST may be/);
    });

  it('of a WebSocket ends with its rule', async () => {
    const server = createServer().on('upgrade', (_, socket) => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello',
      );
      socket.on('error', () => {}).pipe(socket);
    });
    const port = await new Promise<number>((resolve) =>
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
    );
    closing.push(() => server.close().closeAllConnections());
    const { self, use } = await opened({ allow: ['api.example:80'] }, { origins: { 80: port } });
    const stream = await self.openName('api.example', 80);
    stream.write(
      'GET / HTTP/1.1\r\nHost: api.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    await once(stream, 'data');
    assert.ok(await goesOn(stream));
    use({ deny: ['*.example'] });
    await until(() => stream.destroyed);
  });
});

async function portOf(origin: ReturnType<typeof tlsHttpOrigin>): Promise<number> {
  return (await origin).port;
}
