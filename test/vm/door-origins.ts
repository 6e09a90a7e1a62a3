// Origins on this computer's loopback for tests of the door with real machines, and a Warren whose doors find them: by
// names that lead here in its own namespace only, with certificates of a test's authority.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createSecureServer } from 'node:http2';
import type { Server as TcpServer } from 'node:net';
import { join } from 'node:path';
import { after } from 'node:test';
import type { AuditEvent, FlowEvent, RequestEvent } from '../../src/egress/audit/event.ts';
import { readAudit } from '../../src/egress/audit/read.ts';
import type { Entry } from '../../src/egress/policy/rule.ts';
import { doorFiles } from '../../src/host/layout.ts';
import type { SandboxDetail } from '../../src/protocol/api.ts';
import { listenOn, originCa, tlsOrigin } from '../egress/fake-guest.ts';
import { openWarren, until, type Warren } from './harness.ts';

/** Nothing allows it, although it leads to the same origins. */
export const DENIED = 'denied.warren.test';
const NAMES = ['web', 'git', 'h2', 'npm', 'pip', 'apt', 'tcp', 'pass', 'dns'].map(
  (name) => `${name}.warren.test`,
);

const closing: (() => void)[] = [];

/** When the test file ends: hooks that are made inside of others end with those. */
export function atEnd(close: () => void): void {
  closing.push(close);
}

export function openDoorWarren(): Warren {
  after(() => {
    for (const close of closing) close();
  });
  const warren = openWarren({ hosts: [...NAMES, DENIED] });
  const others = process.env['NODE_EXTRA_CA_CERTS'];
  const file = join(warren.home, 'origins.pem');
  writeFileSync(file, `${others ? readFileSync(others, 'utf8') : ''}\n${originCa.certificatePem}`);
  warren.env['NODE_EXTRA_CA_CERTS'] = file;
  return warren;
}

/** The user's policy; sandboxes that run keep the one that their door was opened with. */
export function allow(warren: Warren, ...entries: Entry[]): void {
  const folder = join(warren.home, '.config/warren');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ egress: { allow: entries } }));
}

export async function auditOf(warren: Warren, name: string): Promise<AuditEvent[]> {
  const { folder } = await warren.json<SandboxDetail>(['show', name]);
  const events: AuditEvent[] = [];
  for await (const record of readAudit(doorFiles(folder).audit)) events.push(record as unknown as AuditEvent);
  return events;
}

export type Ended = Extract<AuditEvent, { host: string }>;

/** The final record of a request or a flow: it may be written a moment after the client had its answer. */
export async function audited(
  warren: Warren,
  name: string,
  fits: (event: RequestEvent | FlowEvent) => boolean,
): Promise<RequestEvent | FlowEvent> {
  return await until(`a record of ${fits}`, async () =>
    (await auditOf(warren, name)).find(
      (event): event is RequestEvent | FlowEvent =>
        (event.kind === 'request' || event.kind === 'flow') && !event.begun && fits(event),
    ),
  );
}

export interface Origin {
  port: number;
  /** `Host method path`, in the order in which they came. */
  asked: string[];
}

/** HTTP/1.1, `secure` behind TLS. Closed when the test file ends. */
export async function origin(
  onRequest: RequestListener,
  { secure = true, upgrade = false }: { secure?: boolean; upgrade?: boolean } = {},
): Promise<Origin> {
  const self: Origin = { port: 0, asked: [] };
  const server: Server = createServer((request, response) => {
    self.asked.push(`${request.headers.host} ${request.method} ${request.url}`);
    onRequest(request, response);
  });
  if (upgrade) server.on('upgrade', (request: IncomingMessage, socket) => echoFrames(request, socket));
  atEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  if (!secure) {
    self.port = await listenOn(server as unknown as TcpServer);
    return self;
  }
  const tls = await tlsOrigin((socket) => server.emit('connection', socket));
  atEnd(tls.close);
  self.port = tls.port;
  return self;
}

/** An origin of gRPC's kind: each message comes back, for it has its frame already, and trailers tell how it went. */
export async function grpcOrigin(): Promise<number> {
  const server = createSecureServer({
    SNICallback: (name, done) => {
      originCa.contextFor({ kind: 'name', name }).then((context) => done(null, context), done);
    },
  });
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => sessions.add(session));
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'fine' }));
    stream.pipe(stream);
  });
  atEnd(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return await listenOn(server as unknown as TcpServer);
}

/** Answers each masked text frame of a WebSocket (RFC 6455, up to 125 bytes) with its text in a frame of its own. */
function echoFrames(request: IncomingMessage, socket: NodeJS.ReadWriteStream): void {
  const accept = createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  socket.on('error', () => {});
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  socket.on('data', (frame: Buffer) => {
    const length = frame[1]! & 0x7f;
    const mask = frame.subarray(2, 6);
    const text = frame.subarray(6, 6 + length).map((byte, at) => byte ^ mask[at % 4]!);
    socket.write(Buffer.concat([Buffer.from([0x81, text.length]), text]));
  });
}

export interface Web {
  listener: RequestListener;
  /** How many of `/held` have been begun, and how many of those have been broken off. */
  held: { begun: number; broken: number };
}

/** `/hello`, `/echo` (a POST), `/events` with `/next`, `/held`, which never ends. */
export function web(): Web {
  const held = { begun: 0, broken: 0 };
  let more = () => {};
  return {
    held,
    listener(request, response) {
      const { pathname } = new URL(request.url!, 'http://origin');
      if (pathname === '/echo') request.pipe(response);
      else if (pathname === '/events') {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: one\n\n');
        more = () => response.end('data: two\n\n');
      } else if (pathname === '/next') {
        more();
        response.end('sent\n');
      } else if (pathname === '/held') {
        held.begun += 1;
        response.once('close', () => {
          held.broken += 1;
        });
        response.write('begun\n');
      } else response.end(`hello from ${request.headers.host?.split(':')[0]}\n`);
    },
  };
}
