// A sandbox whose ports are servers on this computer's loopback.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after } from 'node:test';
import { Connections } from '../../src/forward/connections.ts';
import type { ForwardLimits } from '../../src/forward/limits.ts';
import { NamesListener } from '../../src/forward/names.ts';
import type { ForwardParts } from '../../src/forward/parts.ts';
import { WarrenError } from '../../src/protocol/error.ts';

export interface FakeGuest {
  parts: ForwardParts;
  connections: Connections;
  names: NamesListener;
  opened: string[];
  /** By the guest's port. */
  ports: Map<number, number>;
  /** A server of the guest at `port`. */
  serve(port: number, server: Server): Promise<void>;
  /** Bytes to the listener of names; answers all that comes until it closes or `until` fits. */
  raw(bytes: string, until?: RegExp): Promise<string>;
}

export async function openGuest(
  limits: Partial<ForwardLimits> = {},
  more: Partial<ForwardParts> = {},
): Promise<FakeGuest> {
  const ports = new Map<number, number>();
  const opened: string[] = [];
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  const parts: ForwardParts = {
    async openPort(sandbox, port) {
      opened.push(`${sandbox}:${port}`);
      if (sandbox === 'paused')
        throw new WarrenError({
          code: 'sandbox.wrong-state',
          message: 'it is paused',
          remedy: 'warren resume paused',
        });
      if (sandbox !== 'demo' && sandbox !== 'other')
        throw new WarrenError({ code: 'sandbox.not-found', message: 'there is none' });
      const to = ports.get(port);
      if (to === undefined) throw new WarrenError({ code: 'agent.unavailable', message: 'refused' });
      const socket = connect({ port: to, host: '127.0.0.1', allowHalfOpen: true });
      sockets.add(socket);
      socket.on('error', () => {});
      await once(socket, 'connect');
      return socket;
    },
    listening: async () => [{ port: 8000, address: '127.0.0.1', pid: 7, comm: '<b>py\u001bthon' }],
    isOwn: async () => true,
    limits,
    ...more,
  };
  const connections = new Connections(parts);
  const names = await NamesListener.open(parts, connections, 0);
  after(() => {
    names.close();
    connections.dropAll();
    for (const socket of sockets) socket.destroy();
    for (const server of servers) server.close();
  });
  return {
    parts,
    connections,
    names,
    opened,
    ports,
    async serve(port, server) {
      servers.push(server);
      server.on('connection', (socket: Socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
      });
      ports.set(port, await bind(server));
    },
    raw(bytes, until) {
      return converse(names.port, bytes, until);
    },
  };
}

export async function bind(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A server that answers every connection's first bytes with these and then ends, or stays. */
export function canned(answer: string | Buffer, { stays = false } = {}): Server {
  return createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => (stays ? socket.write(answer) : socket.end(answer)));
  });
}

export async function converse(port: number, bytes: string, until?: RegExp): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    // Only for what goes wrong: it decides nothing, however busy this computer is.
    const timer = setTimeout(() => reject(new Error(`no end after: ${said}`)), 30_000);
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET') said += '[reset]';
      done();
    });
    socket.on('end', done);
    socket.on('close', done);
    socket.on('data', (chunk) => {
      said += chunk.toString('latin1');
      if (until?.test(said)) done();
    });
    socket.write(bytes, 'latin1');
  });
  socket.destroy();
  return said;
}

export function status(said: string): number {
  const found = /^HTTP\/1\.1 (\d{3}) /.exec(said)?.[1];
  assert.ok(found, `no answer: ${said}`);
  return Number(found);
}

/** In order or by a reset. */
export function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.on('error', () => {}).once('close', () => resolve()));
}
