// An agent that was replaced by somebody hostile: whatever it sends or does not send, the host ends it by a limit.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttp2 } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, Readable } from 'node:stream';
import { afterEach, describe, it } from 'node:test';
import { Session, type SessionEvent } from '../../src/client/session.ts';
import type { Transport } from '../../src/client/transport.ts';
import { attach } from '../../src/machine/link/attach.ts';
import { Link } from '../../src/machine/link/link.ts';
import { runInGuest } from '../../src/machine/run-in-guest.ts';
import { encodeEnvelope } from '../../src/protocol/connect.ts';
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

  it('that sleeps through the first knock is knocked at again', async () => {
    let knocks = 0;
    await agent((socket) => {
      let seen = Buffer.alloc(0);
      knocks++;
      socket.on('data', (chunk) => {
        seen = Buffer.concat([seen, chunk]);
        if (seen.length < HELLO_BYTES || knocks === 1) return;
        const epoch = seen.subarray(HELLO_BYTES - 20, HELLO_BYTES - 4);
        socket.write(Buffer.concat([Buffer.from('WRN-ACK\n'), epoch, generation]));
      });
    });
    const generation = Buffer.alloc(4);
    generation.writeUInt32BE(limits.agentGeneration);
    const stream = await attach(socketPath, { timeoutMs: 60_000 });
    stream.destroy();
    assert.equal(knocks, 2);
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

  it('that cuts what nobody reads into single bytes is cut off before it fills the memory', async () => {
    const frame = (type: number, flags: number, stream: number, payload: Buffer) => {
      const head = Buffer.alloc(9);
      head.writeUIntBE(payload.length, 0, 3);
      head.set([type, flags], 3);
      head.writeUInt32BE(stream, 5);
      return Buffer.concat([head, payload]);
    };
    const many = Buffer.concat(Array(6000).fill(frame(0, 0, 1, Buffer.from('x'))));
    await agent(
      afterAck((socket) => {
        socket.write(Buffer.concat([frame(4, 0, 0, Buffer.alloc(0)), frame(4, 1, 0, Buffer.alloc(0))]));
        // Its bytes of HTTP/2 have come; what they ask does not matter.
        socket.once('data', () => {
          socket.write(frame(1, 4, 1, Buffer.from([0x88])));
          const goOn = () => {
            while (!socket.destroyed && socket.write(many));
            socket.once('drain', goOn);
          };
          goOn();
        });
      }),
    );
    const link = await Link.open(socketPath);
    const before = process.memoryUsage().heapUsed;
    const { body } = await link.exchange({ ':path': '/x' });
    await new Promise((resolve) => body.once('close', resolve));
    const grown = process.memoryUsage().heapUsed - before;
    assert.ok(grown < 128 * 1024 ** 2, `${grown} bytes`);
    link.close();
  });

  it('whose program prints without end is cut at a limit (AP 65)', async () => {
    const output = encodeEnvelope({
      event: { data: { stdout: Buffer.alloc(512 * 1024).toString('base64') } },
    });
    await agent(
      afterAck((socket) =>
        http2On(socket, (_, response) => {
          response.on('error', () => {});
          const pour = () => {
            while (!response.destroyed && response.write(output));
          };
          response.on('drain', pour);
          pour();
        }),
      ),
    );
    const link = await Link.open(socketPath, { timeoutMs: 5000 });
    await assert.rejects(runInGuest(link, 'yes', []), {
      code: 'machine.agent-garbage',
      message: /yes printed more/,
    });
    link.close();
  });

  it('cannot change an object’s nature by its JSON, nor nest it until something gives (AP 62)', async () => {
    const deep = `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`;
    const answers: Record<string, string> = {
      '/proto': '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"a":1,"a":2}',
      '/deep': deep,
      '/number': '{"n":1e999,"m":99999999999999999999}',
      '/bytes': '{"text":"\xff\xfe"}',
    };
    await agent(
      afterAck((socket) =>
        http2On(socket, (request, response) => void response.end(answers[request.url!]!, 'latin1')),
      ),
    );
    const link = await Link.open(socketPath, { timeoutMs: 5000 });
    for (const path of Object.keys(answers)) await link.json(path);
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
    link.close();
  });
});

describe('what an agent says of a process (AP 63)', () => {
  const events = async (...messages: object[]) => {
    const transport = {
      send: async () => Readable.from([Buffer.concat(messages.map(encodeEnvelope))]),
    } as unknown as Transport;
    const seen: SessionEvent[] = [];
    for await (const event of Session.on(transport, 'demo').start({ command: 'true', args: [] }))
      seen.push(event);
    return seen;
  };
  const start = { event: { start: { pid: 7 } } };
  const end = (exitCode: number) => ({ event: { end: { exitCode } } });

  it('counts once: no output and no other end after its end', async () => {
    const seen = await events(start, end(3), { event: { data: { stdout: 'AAAA' } } }, end(0), start);
    assert.deepEqual(
      seen.map(({ kind }) => kind),
      ['started', 'ended'],
    );
    assert.deepEqual(seen.at(-1), { kind: 'ended', exitCode: 3, signal: null });
  });

  it('that never ended is a connection that was lost', async () => {
    await assert.rejects(events(start, { event: { data: { stdout: 'AAAA' } } }), {
      code: 'machine.channel-closed',
    });
  });

  it('that breaks off is told in words', async () => {
    const transport = {
      send: async () =>
        new Readable({
          read() {
            this.destroy(new Error('aborted'));
          },
        }),
    } as unknown as Transport;
    const all = async () => {
      for await (const _ of Session.on(transport, 'demo').start({ command: 'true', args: [] }));
    };
    await assert.rejects(all(), { code: 'machine.channel-closed', message: /was lost/ });
  });
});
