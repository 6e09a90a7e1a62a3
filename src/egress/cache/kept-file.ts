// A kept answer as one file: a record of 4096 bytes of JSON, padded, then the bytes. Written beside its place and
// renamed; read back as if anybody had written it: what is not whole, or has another digest, is not there.

import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import * as v from 'valibot';
import type { HeaderList } from '../http/headers.ts';
import type { Kept } from './proof.ts';

export interface KeptRecord extends Kept {
  /** The whole key, as a file's name has its digest only. */
  key: string;
  bytes: number;
  headers: HeaderList;
}

export const RECORD_BYTES = 4_096;
const READ_BYTES = 256 * 1024;
/** Up to here it is read once and sent from memory, above it is read twice. */
const SMALL_BYTES = 1024 ** 2;

const hex = v.pipe(v.string(), v.regex(/^[0-9a-f]{64,128}$/));
const schema = v.strictObject({
  version: v.literal(1),
  key: v.string(),
  proof: v.picklist(['index', 'lasting', 'named']),
  digests: v.strictObject({ sha256: hex, sha512: hex, blake2b256: v.nullable(hex) }),
  keptAtUnixMs: v.number(),
  bytes: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  headers: v.array(v.tuple([v.string(), v.string()])),
  /** Of all of the above. */
  seal: hex,
});

/** Null when it does not fit. */
export function recordBlock(record: KeptRecord): Buffer | null {
  const { key, proof, digests, keptAtUnixMs, bytes, headers } = record;
  const plain = { version: 1 as const, key, proof, digests, keptAtUnixMs, bytes, headers };
  const text = JSON.stringify({ ...plain, seal: sealOf(plain) });
  if (Buffer.byteLength(text) > RECORD_BYTES) return null;
  return Buffer.concat([Buffer.from(text), Buffer.alloc(RECORD_BYTES, ' ')], RECORD_BYTES);
}

export interface OpenKept {
  record: KeptRecord;
  /** The bytes, checked; null when they are not those of the record. Afterwards the file is read by `from` only. */
  verified(): Promise<{ from: Buffer | FileHandle } | null>;
  close(): Promise<void>;
}

/** Null when there is none; `broken` when what is there is no kept answer of that key. */
export async function openKept(path: string, key: string): Promise<OpenKept | 'broken' | null> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? null : 'broken';
  }
  const record = await readRecord(file, key).catch(() => null);
  if (record) return { record, verified: () => verify(file, record), close: () => file.close() };
  await file.close();
  return 'broken';
}

async function readRecord(file: FileHandle, key: string): Promise<KeptRecord | null> {
  const found = await file.stat();
  const block = Buffer.alloc(RECORD_BYTES);
  if (!found.isFile() || (await file.read(block, 0, RECORD_BYTES, 0)).bytesRead < RECORD_BYTES) return null;
  const { seal, ...plain } = v.parse(schema, JSON.parse(block.toString()));
  if (sealOf(plain) !== seal || plain.key !== key || found.size !== RECORD_BYTES + plain.bytes) return null;
  return plain;
}

async function verify(file: FileHandle, { bytes, digests }: KeptRecord) {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(Math.min(bytes, bytes <= SMALL_BYTES ? SMALL_BYTES : READ_BYTES));
  for (let at = 0; at < bytes; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, bytes - at), RECORD_BYTES + at);
    if (bytesRead === 0) return null;
    if (bytes <= SMALL_BYTES && bytesRead < bytes) return null;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  if (hash.digest('hex') !== digests.sha256) return null;
  return { from: bytes <= SMALL_BYTES ? buffer : file };
}

function sealOf(plain: object): string {
  return createHash('sha256').update(JSON.stringify(plain)).digest('hex');
}
