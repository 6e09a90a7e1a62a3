// One port of the host that leads to one port of a sandbox: bytes, whatever they are. It listens as long as the
// forward is there; a connection to a sandbox that does not run ends at once.

import { createServer, type Server, type Socket } from 'node:net';
import { WarrenError } from '../protocol/error.ts';
import type { Connections } from './connections.ts';
import { codeOf, listen } from './listen.ts';
import type { ForwardParts } from './parts.ts';
import { abort, relay } from './relay.ts';

export interface Wanted {
  sandbox: string;
  /** In the guest. */
  port: number;
  /** On the host; null: the same when that is free, else any. */
  hostPort: number | null;
}

const LOWEST_HOST_PORT = 1024;

export class PlainForward {
  readonly port: number;
  readonly hostPort: number;
  readonly #server: Server;
  readonly #clients: Set<Socket>;

  private constructor(port: number, hostPort: number, server: Server, clients: Set<Socket>) {
    this.port = port;
    this.hostPort = hostPort;
    this.#server = server;
    this.#clients = clients;
  }

  /** Throws `usage.port`, `forward.port-taken`. */
  static async open(wanted: Wanted, parts: ForwardParts, connections: Connections): Promise<PlainForward> {
    checkPorts(wanted);
    const clients = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
      clients.add(socket);
      socket.once('close', () => clients.delete(socket));
      socket.on('error', () => {});
      serve(socket, wanted, parts, connections).catch(() => abort(socket));
    });
    server.maxConnections = connections.limits.connections;
    try {
      const hostPort = await listenAt(server, wanted);
      return new PlainForward(wanted.port, hostPort, server, clients);
    } catch (cause) {
      throw taken(wanted, cause);
    }
  }

  close(): void {
    this.#server.close();
    for (const client of this.#clients) abort(client);
  }
}

export function checkPorts({ port, hostPort }: Pick<Wanted, 'port' | 'hostPort'>): void {
  for (const each of hostPort === null ? [port] : [port, hostPort]) {
    if (Number.isInteger(each) && each >= 1 && each <= 65_535) continue;
    throw new WarrenError({
      code: 'usage.port',
      message: `cannot forward port ${each}: ports are whole numbers from 1 to 65535`,
      remedy: 'warren forward ls tells which listen',
    });
  }
  if (hostPort === null || hostPort >= LOWEST_HOST_PORT) return;
  throw new WarrenError({
    code: 'usage.port',
    message: `cannot listen at port ${hostPort} of this computer: those below ${LOWEST_HOST_PORT} belong to the system`,
    remedy: `choose another, such as ${port}:${8000 + hostPort}`,
  });
}

async function serve(
  socket: Socket,
  { sandbox, port }: Wanted,
  parts: ForwardParts,
  connections: Connections,
): Promise<void> {
  if (!(await parts.isOwn(socket))) throw new Error('a connection of somebody else');
  const guest = await connections.open(sandbox, port);
  relay(socket, guest);
}

async function listenAt(server: Server, { port, hostPort }: Wanted): Promise<number> {
  if (hostPort !== null) return await listen(server, hostPort, '127.0.0.1');
  if (port < LOWEST_HOST_PORT) return await listen(server, 0, '127.0.0.1');
  try {
    return await listen(server, port, '127.0.0.1');
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE' && codeOf(error) !== 'EACCES') throw error;
    return await listen(server, 0, '127.0.0.1');
  }
}

function taken({ sandbox, port, hostPort }: Wanted, cause: unknown): WarrenError {
  const why = codeOf(cause) === 'EADDRINUSE' ? 'another program listens there' : (cause as Error).message;
  return new WarrenError(
    {
      code: 'forward.port-taken',
      message: `cannot listen at 127.0.0.1:${hostPort ?? port}: ${why}`,
      remedy: `let Warren choose: warren forward ${sandbox} ${port}`,
    },
    { cause },
  );
}
