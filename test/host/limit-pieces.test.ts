// What waits to be read is counted in pieces, and counted off again however it is read.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Stream, connect, createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { PieceLimit } from '../../src/host/limit-pieces.ts';

const server = createServer();
let url: string;
before(async () => {
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    stream.respond();
    let nr = 0;
    const next = () => (nr++ < 1000 ? stream.write('x', next) : stream.end());
    next();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => server.close());

async function ask(limit: PieceLimit, read: (stream: ClientHttp2Stream) => Promise<number>): Promise<number> {
  const session = connect(url);
  const stream = session.request({ ':path': '/' });
  limit.watch(stream);
  try {
    return await read(stream);
  } finally {
    session.destroy();
    await setImmediate();
  }
}

describe('pieces that wait', () => {
  const late = async (stream: ClientHttp2Stream, limit: PieceLimit) => {
    stream.pause();
    while (stream.readableLength < 1000) await setImmediate();
    assert.ok(limit.held > 100, `${limit.held}`);
  };

  it('are counted off as they are read, in flow, one by one, or all at once', async () => {
    const limit = new PieceLimit(2000);
    const flows = async (stream: ClientHttp2Stream) => {
      let bytes = 0;
      for await (const chunk of stream) bytes += (chunk as Buffer).length;
      assert.equal(limit.held, 0);
      return bytes;
    };
    const reads: ((stream: ClientHttp2Stream) => Promise<number>)[] = [
      flows,
      async (stream) => {
        await late(stream, limit);
        const all = stream.read() as Buffer;
        assert.equal(limit.held, 0);
        return all.length;
      },
      async (stream) => {
        await late(stream, limit);
        let bytes = 0;
        stream.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
        });
        await once(stream.resume(), 'end');
        return bytes;
      },
    ];
    for (const read of reads) {
      assert.equal(await ask(limit, read), 1000);
      assert.equal(limit.held, 0);
    }
  });

  it('are given up with their stream, and a stream with one too many', async () => {
    const limit = new PieceLimit(2000);
    await ask(limit, async (stream) => {
      await late(stream, limit);
      return 0;
    });
    assert.equal(limit.held, 0);
    const narrow = new PieceLimit(200);
    await ask(narrow, async (stream) => {
      stream.pause();
      await assert.rejects(once(stream, 'close'), /more than 200 pieces/);
      return 0;
    });
    assert.equal(narrow.held, 0);
  });
});
