// An agent that was replaced by somebody hostile: whatever it sends or does not send, the host ends it by a limit.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttp2 } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { afterEach, describe, it } from 'node:test';
import { Link } from '../../src/machine/link/link.ts';
import { limits } from '../../src/protocol/limits.ts';

const folder = mkdtempSync(join(tmpdir(), 'warren-hostile-'));
const socketPath = join(folder, 'agent');
const HELLO_BYTES = 16448 + 21;
let server: Server | undefined;
let sockets: Socket[] = [];

/** Listens as QEMU's port does; `behave` gets each connection. */
async function agent(behave: (socket: Socket) => void): Promise<void> {
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    behave(socket);
  });
  await new Promise<void>((resolve) => server!.listen(socketPath, resolve));
}

/** An honest attach, then `behave` with what HTTP/2 would be spoken on. */
function afterAck(behave: (socket: Socket) => void): (socket: Socket) => void {
  return (socket) => {
    let seen = Buffer.alloc(0);
    const onData = (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      if (seen.length < HELLO_BYTES) return;
      socket.off('data', onData);
      const epoch = seen.subarray(HELLO_BYTES - 20, HELLO_BYTES - 4);
      const generation = Buffer.alloc(4);
      generation.writeUInt32BE(limits.agentGeneration);
      socket.write(Buffer.concat([Buffer.from('WRN-ACK\n'), epoch, generation]));
      behave(socket);
    };
    socket.on('data', onData);
  };
}

/** An HTTP/2 server on the socket, whose client's bytes come in DATA frames of the channel. */
function http2On(socket: Socket, answer: Parameters<typeof createHttp2>[1]): void {
  let rest = Buffer.alloc(0);
  const stream = new Duplex({
    read() {},
    write: (chunk, _, done) => void socket.write(chunk, () => done()),
  });
  stream.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 3 && rest.length >= 3 + rest.readUInt16BE(1)) {
      const length = rest.readUInt16BE(1);
      stream.push(rest.subarray(3, 3 + length));
      rest = rest.subarray(3 + length);
    }
  });
  const http2 = createHttp2({}, answer);
  http2.on('error', () => {});
  http2.emit('connection', stream);
}

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await new Promise((resolve) => server?.close(resolve));
});
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

describe('an agent', () => {
  it('that never answers is given up', async () => {
    await agent((socket) => socket.resume());
    await assert.rejects(Link.open(socketPath, { timeoutMs: 300 }), { code: 'machine.agent-silent' });
  });

  it('that sends a byte now and then is given up at the same time', async () => {
    await agent((socket) => {
      const timer = setInterval(() => socket.write('W'), 20);
      socket.on('close', () => clearInterval(timer)).resume();
    });
    await assert.rejects(Link.open(socketPath, { timeoutMs: 300 }), { code: 'machine.agent-silent' });
  });

  it('that answers garbage is given up after so many bytes', async () => {
    await agent((socket) => {
      const garbage = randomBytes(256 * 1024);
      const pour = () => {
        while (!socket.destroyed && socket.write(garbage));
      };
      socket.on('drain', pour).resume();
      pour();
    });
    await assert.rejects(Link.open(socketPath, { timeoutMs: 20_000 }), { code: 'machine.agent-garbage' });
  });

  it('that echoes another epoch has not answered', async () => {
    await agent((socket) => {
      socket.write(Buffer.concat([Buffer.from('WRN-ACK\n'), randomBytes(16), Buffer.from([0, 0, 0, 1])]));
      socket.resume();
    });
    await assert.rejects(Link.open(socketPath, { timeoutMs: 300 }), { code: 'machine.agent-silent' });
  });

  it('of another generation is refused with both numbers', async () => {
    await agent((socket) => {
      let seen = Buffer.alloc(0);
      socket.on('data', (chunk) => {
        seen = Buffer.concat([seen, chunk]);
        if (seen.length < HELLO_BYTES) return;
        const epoch = seen.subarray(HELLO_BYTES - 20, HELLO_BYTES - 4);
        socket.write(Buffer.concat([Buffer.from('WRN-ACK\n'), epoch, Buffer.from([0, 0, 0, 99])]));
      });
    });
    await assert.rejects(Link.open(socketPath, { timeoutMs: 5000 }), {
      code: 'machine.agent-generation',
      message: new RegExp(`99.*${limits.agentGeneration}`),
    });
  });

  it('that speaks no HTTP/2 after the attach ends its link, and nothing else', async () => {
    await agent(
      afterAck((socket) => {
        socket.write(randomBytes(64 * 1024));
      }),
    );
    const calls = Link.open(socketPath, { timeoutMs: 5000 }).then((link) =>
      link.json('/warren/info', { timeoutMs: 5000 }),
    );
    await assert.rejects(calls, { code: 'machine.channel-closed' });
  });

  it('that takes a request and says nothing is given up by the call’s own limit', async () => {
    await agent(afterAck((socket) => http2On(socket, () => {})));
    const link = await Link.open(socketPath, { timeoutMs: 5000 });
    await assert.rejects(link.json('/warren/info', { timeoutMs: 300 }), { code: 'machine.agent-silent' });
    link.close();
  });

  it('that answers without end, or with what is no JSON, is cut at a limit', async () => {
    await agent(
      afterAck((socket) =>
        http2On(socket, (request, response) => {
          response.on('error', () => {});
          if (request.url === '/words') return response.end('{"__proto__": ');
          const chunk = Buffer.alloc(1024 * 1024, 0x20);
          const pour = () => {
            while (!response.destroyed && response.write(chunk));
          };
          response.on('drain', pour);
          pour();
        }),
      ),
    );
    const link = await Link.open(socketPath, { timeoutMs: 5000 });
    await assert.rejects(link.json('/words'), { code: 'machine.agent-garbage' });
    const before = process.memoryUsage().rss;
    await assert.rejects(link.json('/flood'), { code: 'machine.agent-garbage' });
    const grownMib = (process.memoryUsage().rss - before) / 1024 ** 2;
    assert.ok(grownMib < (limits.agentJsonBytes / 1024 ** 2) * 4 + 128, `${grownMib} MiB`);
    link.close();
  });
});
