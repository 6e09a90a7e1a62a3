// Doors that share a folder of kept downloads, and a registry on loopback behind them.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type RequestListener, request } from 'node:http';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import type { RequestEvent } from '../../src/egress/audit/event.ts';
import { type CacheOptions, openCache } from '../../src/egress/cache/cache.ts';
import type { DownloadCache } from '../../src/egress/http/downloads.ts';
import { type DoorOptions, listenOn, openDoor, originCa, type TestDoor, tlsOrigin } from './fake-guest.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});

export interface CacheDoor extends TestDoor {
  cache: DownloadCache;
}

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'warren-downloads-'));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A sandbox of its own: another door, another guest, the same folder. */
export async function cacheDoor(
  folder: string,
  options: DoorOptions = {},
  cacheOptions: Partial<CacheOptions> = {},
): Promise<CacheDoor> {
  const cache = await openCache({ folder, extraCa: [originCa.certificatePem], ...cacheOptions });
  const door = await openDoor({
    allow: [{ host: 'registry.npmjs.org', registry: 'read' }],
    cache,
    ...options,
  });
  closing.push(() => door.close());
  return Object.assign(door, { cache });
}

export interface Registry {
  port: number;
  /** `METHOD path`, in the order in which they came. */
  asked: string[];
  heads: IncomingHttpHeaders[];
}

export async function registry(onRequest: RequestListener, secure = true): Promise<Registry> {
  const self: Registry = { port: 0, asked: [], heads: [] };
  const server = createServer((incoming, response) => {
    self.asked.push(`${incoming.method} ${incoming.url}`);
    self.heads.push(incoming.headers);
    onRequest(incoming, response);
  });
  closing.push(() => server.closeAllConnections());
  if (secure) {
    const origin = await tlsOrigin((socket) => server.emit('connection', socket));
    closing.push(origin.close);
    self.port = origin.port;
  } else {
    closing.push(() => server.close());
    self.port = await listenOn(server as unknown as Server);
  }
  return self;
}

export interface Got {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  broke: boolean;
}

/** What a program in the guest gets. */
export async function get(
  door: CacheDoor,
  url: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<Got> {
  const { protocol, hostname, port, pathname, search } = new URL(url);
  const socket =
    protocol === 'https:'
      ? await door.tls(hostname, { port: Number(port || 443) })
      : await door.openName(hostname, Number(port || 80));
  const sending = request({
    createConnection: () => socket as never,
    method,
    path: pathname + search,
    headers: { host: port ? `${hostname}:${port}` : hostname, ...headers },
  });
  sending.end();
  const [response] = await once(sending, 'response');
  const chunks: Buffer[] = [];
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  response.on('error', () => {});
  await new Promise<void>((resolve) => response.once('close', resolve));
  socket.destroy();
  await door.cache.settled();
  return {
    status: response.statusCode,
    headers: response.headers,
    body: Buffer.concat(chunks),
    broke: !response.complete,
  };
}

export function requestsOf(door: CacheDoor): RequestEvent[] {
  return door.ended('request') as RequestEvent[];
}

export function sri(body: Buffer): string {
  return `sha512-${createHash('sha512').update(body).digest('base64')}`;
}
