// The append-only record of one sandbox. A line is whole or, after a crash, the last one is cut: readers skip
// what does not parse. Records hold facts of the host; what a guest said is marked by its key, `guest`.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { appendFile, readFile } from 'node:fs/promises';
import type { JournalRecord } from '../protocol/api.ts';
import { limits } from '../protocol/limits.ts';

export async function appendJournal(
  file: string,
  event: string,
  facts: Record<string, unknown> = {},
): Promise<void> {
  const record: JournalRecord = { time: new Date().toISOString(), event, ...facts };
  let line = JSON.stringify(record);
  if (Buffer.byteLength(line) > limits.journalRecordBytes) {
    line = JSON.stringify({ time: record.time, event, cut: true });
  }
  await appendFile(file, `${line}\n`, { mode: 0o600 });
}

export async function readJournal(file: string): Promise<JournalRecord[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    try {
      return line ? [JSON.parse(line) as JournalRecord] : [];
    } catch {
      return [];
    }
  });
}

/** SHA-256 of its first `bytes`, in hex, and of how many there were; of all of it by default. */
export async function digestOfFirst(
  file: string,
  bytes = Number.POSITIVE_INFINITY,
): Promise<{ hash: string; bytes: number }> {
  const hash = createHash('sha256');
  let count = 0;
  // An empty range is none to Node.
  if (bytes > 0)
    for await (const chunk of createReadStream(file, { end: bytes - 1 }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      count += chunk.length;
    }
  return { hash: hash.digest('hex'), bytes: count };
}
