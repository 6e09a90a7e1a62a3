// A kept answer as it is told to a guest: its headers, and its bytes from memory or from the open file.

import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { ResponseHead } from '../http/call.ts';
import type { KeptAnswer } from '../http/downloads.ts';
import type { HeaderList } from '../http/headers.ts';
import { type KeptRecord, RECORD_BYTES } from './kept-file.ts';

/** What says something of the bytes; cookies and whatever else was said to one client is not kept. */
const KEPT_HEADERS = new Set(['content-type', 'etag', 'last-modified', 'cache-control']);
const MAX_VALUE_CHARS = 256;

export function keptHeaders({ headers }: ResponseHead): HeaderList {
  return headers.filter(([name, value]) => KEPT_HEADERS.has(name) && value.length <= MAX_VALUE_CHARS);
}

export function answerFrom({ bytes, headers }: KeptRecord, from: Buffer | FileHandle): KeptAnswer {
  return {
    head: {
      status: 200,
      message: 'OK',
      headers: [...headers, ['content-length', String(bytes)]],
      bodiless: false,
    },
    body: Buffer.isBuffer(from)
      ? Readable.from([from.subarray(0, bytes)])
      : from.createReadStream({
          start: RECORD_BYTES,
          end: RECORD_BYTES + bytes - 1,
          highWaterMark: 256 * 1024,
        }),
  };
}
