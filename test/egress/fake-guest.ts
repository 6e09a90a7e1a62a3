// A door with a fake guest on the other end of its stream, and origins on loopback. Names resolve to public addresses;
// the dialer writes down what it was asked for and leads to the origin's port instead.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { type AddressInfo, createServer, type Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { AuditEvent } from '../../src/egress/audit/event.ts';
import { connectTcp } from '../../src/egress/flow/connect.ts';
import type { DoorParts } from '../../src/egress/flow/parts.ts';
import { type ServedEgress, serveEgress } from '../../src/egress/flow/serve.ts';
import { SyntheticNames } from '../../src/egress/names/synthetic.ts';
import { denialHint } from '../../src/egress/policy/hint.ts';
import { createPolicy } from '../../src/egress/policy/judge.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';
import { Authority, createAuthority } from '../../src/egress/tls/authority.ts';

export const PUBLIC = '93.184.215.14';
/** What has not come by then will not come, however busy this computer is. */
export const LATE_MS = 30_000;

const guestCa = await Authority.open(await createAuthority('Warren test guest'));
export const originCa = await Authority.open(await createAuthority('Warren test origin'));
export { guestCa };

export interface DoorOptions extends Partial<DoorParts> {
  allow?: unknown[];
  deny?: unknown[];
  asks?: boolean;
  network?: string;
  /** Where a dial really leads, by the port that was asked for. */
  origins?: Record<number, number>;
}

export interface TestDoor {
  door: ServedEgress;
  session: ClientHttp2Session;
  names: SyntheticNames;
  events: AuditEvent[];
  dialed: string[];
  lookups: string[];
  parts: DoorParts;
  /** Of the kind, only those with the final word. */
  ended(kind: AuditEvent['kind']): AuditEvent[];
  open(authority: string): Promise<ClientHttp2Stream>;
  /** To a name by its synthetic address, as a redirected program is. */
  openName(name: string, port: number): Promise<ClientHttp2Stream>;
  tls(name: string, options?: { port?: number; alpn?: string[]; servername?: string }): Promise<TLSSocket>;
  /** TLS that the door does not take apart: verified against the origins' authority. */
  tlsThrough(name: string, port: number): Promise<TLSSocket>;
  /** A loopback listener whose connections are flows to `authority`. */
  listen(authority: string): Promise<number>;
  close(): Promise<void>;
}

export async function openDoor(options: DoorOptions = {}): Promise<TestDoor> {
  const { allow = [], deny = [], asks = false, network, origins = {}, ...rest } = options;
  const events: AuditEvent[] = [];
  const dialed: string[] = [];
  const lookups: string[] = [];
  const file = { source: 'project', file: 'project.json' } as const;
  const egress = { allow, deny, ...(asks && { ask: true }) };
  const policy = createPolicy([parsePolicy({ egress, ...(network && { network }) }, file)]);
  const names = new SyntheticNames({ path: null, isDenied: (name) => policy.deniesName(name) });
  const parts: DoorParts = {
    policy: () => policy,
    names,
    audit: {
      async write(event) {
        events.push(event);
      },
    },
    authority: guestCa,
    resolve: async (name) => {
      lookups.push(name);
      return [PUBLIC];
    },
    ownAddresses: () => ['192.0.2.1'],
    connect(address, port, reading) {
      dialed.push(`${address}:${port}`);
      const to = origins[port];
      return to === undefined ? refusedSocket() : connectTcp('127.0.0.1', to, reading);
    },
    extraCa: [originCa.certificatePem],
    denialHint: (verdict) => denialHint('test', verdict),
    ...rest,
  };
  const [theirs, ours] = await socketPair();
  const door = serveEgress(ours, parts);
  // What many uploads have queued here is the guest's matter.
  const session = connect('http://door', { createConnection: () => theirs, maxSessionMemory: 512 });
  session.on('error', () => {});
  const listeners: Server[] = [];
  const self: TestDoor = {
    door,
    session,
    names,
    events,
    dialed,
    lookups,
    parts,
    ended: (kind) => events.filter((event) => event.kind === kind && !('begun' in event)),
    async open(authority) {
      const stream = session.request({ ':method': 'CONNECT', ':authority': authority });
      stream.on('error', () => {});
      const [headers] = await once(stream, 'response');
      assert.equal(headers[':status'], 200);
      return stream;
    },
    openName: (name, port) => self.open(`${names.addressOf(name)}:${port}`),
    async tls(name, { port = 443, alpn = ['http/1.1'], servername = name } = {}) {
      const socket = connectTls({
        socket: await self.openName(name, port),
        servername,
        ca: guestCa.certificatePem,
        ALPNProtocols: alpn,
      });
      await once(socket, 'secureConnect');
      socket.on('error', () => {});
      return socket;
    },
    async tlsThrough(name, port) {
      const socket = connectTls({
        socket: await self.openName(name, port),
        servername: name,
        ca: originCa.certificatePem,
      });
      await once(socket, 'secureConnect');
      socket.on('error', () => {});
      return socket;
    },
    async listen(authority) {
      const server = createServer({ allowHalfOpen: true }, async (socket) => {
        const flow = await self.open(authority);
        socket.on('error', () => flow.close(8));
        flow.on('error', () => socket.resetAndDestroy());
        socket.pipe(flow).pipe(socket);
      });
      listeners.push(server);
      return listenOn(server);
    },
    async close() {
      for (const server of listeners) server.close();
      session.destroy();
      await door.close();
    },
  };
  return self;
}

/** With the kernel's buffers between them: two HTTP/2 ends of Node that write into each other would both wait. */
export async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer();
  const theirs = connectTcp('127.0.0.1', await listenOn(server));
  const [ours] = await once(server, 'connection');
  server.close();
  return [theirs, ours];
}

export async function listenOn(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A raw origin that keeps every byte that it was sent. */
export async function rawOrigin(onSocket: (socket: Socket, received: () => string) => void) {
  const all: string[] = [];
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const at = all.push('') - 1;
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      all[at] += chunk.toString('latin1');
    });
    onSocket(socket, () => all[at]!);
  });
  const port = await listenOn(server);
  return {
    port,
    received: all,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** TLS in front of a server of any kind, with a certificate for whatever name is asked for, or for `as`. */
export async function tlsOrigin(onSocket: (socket: TLSSocket) => void, alpn = ['http/1.1'], as?: string) {
  let connections = 0;
  const sockets: Duplex[] = [];
  const server = createTlsServer(
    {
      ALPNProtocols: alpn,
      SNICallback: (name, done) => {
        originCa.contextFor({ kind: 'name', name: as ?? name }).then((context) => done(null, context), done);
      },
    },
    (socket) => {
      connections += 1;
      sockets.push(socket);
      socket.on('error', () => {});
      onSocket(socket);
    },
  );
  server.on('tlsClientError', () => {});
  return {
    port: await listenOn(server),
    connections: () => connections,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** Everything up to the end. */
export async function readAll(stream: Duplex): Promise<string> {
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  stream.on('error', () => {});
  if (!stream.readableEnded && !stream.destroyed)
    await Promise.race([once(stream, 'end'), once(stream, 'close')]).catch(() => {});
  return text;
}

/** Sends the text and answers with all that comes until the other side ends. */
export async function say(stream: Duplex, text: string): Promise<string> {
  stream.write(text, 'latin1');
  return readAll(stream);
}

export async function until(what: () => boolean, timeoutMs = LATE_MS): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!what()) {
    if (performance.now() > endMs) assert.fail(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function refusedSocket(): Socket {
  const socket = new Socket();
  queueMicrotask(() => socket.destroy(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })));
  return Object.defineProperty(socket, 'connecting', { value: true });
}
