// The bytes of an attach (docs/CHANNEL.md). Pure. What the host writes is framed so that the agent can tell
// this attach from an older one that a snapshot tore apart; what the agent writes is hostile until ACK.

import { limits } from '../../protocol/limits.ts';

export const EPOCH_BYTES = 16;
const HELLO = 0x01;
const DATA = 0x02;
const ACK_MAGIC = Buffer.from('WRN-ACK\n', 'latin1');
const ACK_BYTES = ACK_MAGIC.length + EPOCH_BYTES + 4;

/** Filler that completes any torn frame (at most 3 + 16384 bytes), then HELLO. */
export function encodeHello(epoch: Buffer, generation: number): Buffer {
  const hello = Buffer.alloc(1 + EPOCH_BYTES + 4);
  hello[0] = HELLO;
  epoch.copy(hello, 1);
  hello.writeUInt32BE(generation, 1 + EPOCH_BYTES);
  return Buffer.concat([Buffer.alloc(limits.channelFramePayloadBytes + 64), hello]);
}

/** Splits `chunk` into DATA frames, without copying the payload. */
export function encodeData(chunk: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < chunk.length; at += limits.channelFramePayloadBytes) {
    const payload = chunk.subarray(at, at + limits.channelFramePayloadBytes);
    const head = Buffer.allocUnsafe(3);
    head[0] = DATA;
    head.writeUInt16BE(payload.length, 1);
    parts.push(head, payload);
  }
  return parts;
}

export type AckScan =
  | { kind: 'more' }
  | { kind: 'found'; generation: number; rest: Buffer }
  | { kind: 'too-much'; scannedBytes: number };

/** Finds the ACK of one epoch in a stream that may begin with bytes of older attaches. Bounded memory. */
export class AckScanner {
  #kept: Buffer = Buffer.alloc(0);
  #scannedBytes = 0;
  readonly #wanted: Buffer;

  constructor(epoch: Buffer) {
    this.#wanted = Buffer.concat([ACK_MAGIC, epoch]);
  }

  push(chunk: Buffer): AckScan {
    const bytes = Buffer.concat([this.#kept, chunk]);
    const at = bytes.indexOf(this.#wanted);
    if (at >= 0 && bytes.length >= at + ACK_BYTES) {
      const generation = bytes.readUInt32BE(at + ACK_BYTES - 4);
      return { kind: 'found', generation, rest: bytes.subarray(at + ACK_BYTES) };
    }
    this.#scannedBytes += chunk.length;
    if (this.#scannedBytes > limits.channelAckScanBytes) {
      return { kind: 'too-much', scannedBytes: this.#scannedBytes };
    }
    this.#kept = Buffer.from(
      bytes.subarray(at >= 0 ? at : Math.max(0, bytes.length - this.#wanted.length + 1)),
    );
    return { kind: 'more' };
  }
}
