// A guest that speaks HTTP/2 by hand: what Node's own client would not let out (RFC 9113; HPACK literals of RFC 7541,
// 6.2.2, without Huffman coding).

import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { DoorParts } from '../../src/egress/flow/parts.ts';
import { type ServedEgress, serveEgress } from '../../src/egress/flow/serve.ts';
import { socketPair } from './fake-guest.ts';

export const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, goAway: 7, windowUpdate: 8 } as const;
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const END_HEADERS = 4;
/** The static table's entry for `:status: 200`. */
const INDEXED_200 = 0x88;

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([head, payload]);
}

export function connectFrame(stream: number, authority: string, more: [string, string][] = []): Buffer {
  const fields: [string, string][] = [[':method', 'CONNECT'], [':authority', authority], ...more];
  const block = fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]);
  return frame(FRAME.headers, END_HEADERS, stream, Buffer.concat(block));
}

/** Lengths below 127 only need one byte. */
function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

export interface RawGuest {
  socket: Socket;
  door: ServedEgress;
  /** What became of a stream: `open` (200), `refused` (another status), `reset`; or `over`, of the connection. */
  answer(stream: number): Promise<'open' | 'refused' | 'reset' | 'over'>;
  close(): Promise<void>;
}

export async function openRaw(parts: DoorParts): Promise<RawGuest> {
  const [socket, ours] = await socketPair();
  const door = serveEgress(ours, parts);
  let seen = Buffer.alloc(0);
  const answers = new Map<number, 'open' | 'refused' | 'reset'>();
  let isOver = false;
  let tell = Promise.withResolvers<void>();
  const told = () => {
    tell.resolve();
    tell = Promise.withResolvers();
  };
  socket.on('error', () => {});
  socket.once('close', () => {
    isOver = true;
    told();
  });
  socket.on('data', (chunk: Buffer) => {
    seen = Buffer.concat([seen, chunk]);
    while (seen.length >= 9 && seen.length >= 9 + seen.readUIntBE(0, 3)) {
      const [type, stream, first] = [seen[3], seen.readUInt32BE(5), seen[9]];
      seen = seen.subarray(9 + seen.readUIntBE(0, 3));
      if (type === FRAME.headers && !answers.has(stream))
        answers.set(stream, first === INDEXED_200 ? 'open' : 'refused');
      else if (type === FRAME.reset) answers.set(stream, answers.get(stream) ?? 'reset');
      else if (type === FRAME.goAway) isOver = true;
    }
    told();
  });
  socket.write(Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0)]));
  return {
    socket,
    door,
    async answer(stream) {
      for (;;) {
        const known = answers.get(stream);
        if (known) return known;
        if (isOver) return 'over';
        await tell.promise;
      }
    },
    async close() {
      if (!socket.destroyed) {
        const gone = once(socket, 'close');
        socket.destroy();
        await gone;
      }
      await door.close();
    },
  };
}
