// Asks for one line without showing it. From a pipe, it is what comes through the pipe.

import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { WarrenError } from '../protocol/error.ts';

const MAX_BYTES = 64 * 1024;

/** Throws `usage.cancelled` for Ctrl-C, and `usage.secret` when nothing came. */
export async function askHidden(question: string): Promise<string> {
  const answer = process.stdin.isTTY ? await askTerminal(question) : await readPipe();
  const line = answer.replace(/\r?\n$/, '');
  if (line !== '') return line;
  throw new WarrenError({
    code: 'usage.secret',
    message: 'cannot add the secret: nothing was typed',
    remedy: 'type its value, send it through a pipe, or use --from env:VARIABLE',
  });
}

function askTerminal(question: string): Promise<string> {
  process.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true, historySize: 0 });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  lines.once('line', resolve);
  lines.once('SIGINT', () => reject(new WarrenError({ code: 'usage.cancelled', message: 'cancelled' })));
  lines.once('close', () => resolve(''));
  return promise.finally(() => {
    lines.close();
    process.stderr.write('\n');
  });
}

async function readPipe(): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES)
      throw new WarrenError({
        code: 'usage.secret',
        message: 'cannot add the secret: more than 64 KiB came through the pipe',
      });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
