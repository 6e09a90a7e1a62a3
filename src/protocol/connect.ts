// The envelope of the Connect protocol's streams, JSON codec: flag (1 byte), length (4 bytes, big-endian), JSON.
// Flag 0x02 ends a stream. https://connectrpc.com/docs/protocol. Pure; fed with bytes of a guest: hostile.

import { WarrenError } from './error.ts';
import { Gather } from './gather.ts';
import { limits } from './limits.ts';

const HEAD_BYTES = 5;
const END_FLAG = 0x02;

export interface Envelope {
  end: boolean;
  value: unknown;
  /** Of an end envelope, when the call failed. */
  error?: { code: string; message: string };
}

export function encodeEnvelope(value: unknown): Buffer {
  const json = Buffer.from(JSON.stringify(value));
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(json.length, 1);
  return Buffer.concat([head, json]);
}

/** Cuts a byte stream into envelopes. Throws `agent.invalid-envelope` on what is none. */
export class EnvelopeReader {
  readonly #kept = new Gather();
  /** Of the JSON; null: the head is not whole yet. */
  #length: number | null = null;

  *push(chunk: Buffer): Generator<Envelope> {
    for (let at = 0; at < chunk.length; ) {
      const missing = HEAD_BYTES + (this.#length ?? 0) - this.#kept.bytes;
      this.#kept.add(chunk.subarray(at, at + missing));
      at += missing;
      if (at > chunk.length) return;
      if (this.#length === null) {
        const length = this.#kept.look().readUInt32BE(1);
        if (length > limits.agentJsonBytes) throw invalid(`an envelope of ${length} bytes`);
        this.#length = length;
        if (length > 0) continue;
      }
      const bytes = this.#kept.take();
      this.#length = null;
      yield parseEnvelope(bytes[0]!, bytes.subarray(HEAD_BYTES));
    }
  }
}

function parseEnvelope(flag: number, json: Buffer): Envelope {
  let value: unknown;
  try {
    value = json.length === 0 ? {} : JSON.parse(json.toString('utf8'));
  } catch {
    throw invalid('an envelope that is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw invalid('an envelope that is no object');
  if ((flag & END_FLAG) === 0) return { end: false, value };
  const error = (value as { error?: { code?: unknown; message?: unknown } }).error;
  if (!error) return { end: true, value };
  const code = typeof error.code === 'string' && /^[a-z_]{1,40}$/.test(error.code) ? error.code : 'unknown';
  const message = typeof error.message === 'string' ? error.message.slice(0, 4000) : code;
  return { end: true, value, error: { code, message } };
}

function invalid(what: string): WarrenError {
  return new WarrenError({ code: 'agent.invalid-envelope', message: `the agent sent ${what}` });
}
