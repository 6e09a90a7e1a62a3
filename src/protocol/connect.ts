// The envelope of the Connect protocol's streams, JSON codec: flag (1 byte), length (4 bytes, big-endian), JSON.
// Flag 0x02 ends a stream. https://connectrpc.com/docs/protocol. Pure; fed with bytes of a guest: hostile.

import { WarrenError } from './error.ts';
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
  #kept: Buffer[] = [];
  #keptBytes = 0;

  *push(chunk: Buffer): Generator<Envelope> {
    this.#kept.push(chunk);
    this.#keptBytes += chunk.length;
    for (;;) {
      if (this.#keptBytes < HEAD_BYTES) return;
      const head = this.#kept[0]!.length >= HEAD_BYTES ? this.#kept[0]! : this.#join();
      const length = head.readUInt32BE(1);
      if (length > limits.agentJsonBytes) throw invalid(`an envelope of ${length} bytes`);
      if (this.#keptBytes < HEAD_BYTES + length) return;
      const bytes = this.#join();
      const rest = bytes.subarray(HEAD_BYTES + length);
      this.#kept = rest.length > 0 ? [rest] : [];
      this.#keptBytes = rest.length;
      yield parseEnvelope(bytes[0]!, bytes.subarray(HEAD_BYTES, HEAD_BYTES + length));
    }
  }

  #join(): Buffer {
    const joined = this.#kept.length === 1 ? this.#kept[0]! : Buffer.concat(this.#kept);
    this.#kept = [joined];
    return joined;
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
