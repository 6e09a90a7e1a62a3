// One call to the daemon: JSON both ways, or a stream of lines that ends with a result.

import type { Readable } from 'node:stream';
import type { Progress, StreamedLine } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import { readText, type Transport } from './transport.ts';

export interface CallOptions {
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

export interface StreamOptions extends CallOptions {
  /** The next line is read when it has resolved. */
  onEvent?: (event: never) => unknown;
}

export async function callJson<T>(
  transport: Transport,
  method: string,
  path: string,
  body?: unknown,
): Promise<T> {
  const answer = await transport.send({ method, path, ...(body !== undefined && jsonBody(body)) });
  return JSON.parse(await readText(answer)) as T;
}

export async function callStreamed<T>(
  transport: Transport,
  path: string,
  body: unknown,
  { signal, onProgress, onEvent }: StreamOptions,
): Promise<T> {
  const answer = await transport.send({ method: 'POST', path, ...jsonBody(body), ...(signal && { signal }) });
  let kept = '';
  answer.setEncoding('utf8');
  for await (const chunk of untilCut(answer, signal)) {
    kept += chunk;
    const lines = kept.split('\n');
    kept = lines.pop()!;
    for (const text of lines) {
      const line = JSON.parse(text) as StreamedLine<T>;
      if ('progress' in line) onProgress?.(line.progress);
      else if ('event' in line) await onEvent?.(line.event as never);
      else if ('error' in line) throw new WarrenError(line.error);
      else return line.result;
    }
  }
  throw goneAway();
}

/** Its text. One that breaks off is told in our words, unless we left it ourselves. */
async function* untilCut(answer: Readable, signal?: AbortSignal): AsyncGenerator<string> {
  try {
    yield* answer as AsyncIterable<string>;
  } catch (cause) {
    throw signal?.aborted ? cause : goneAway(cause);
  }
}

function goneAway(cause?: unknown): WarrenError {
  return new WarrenError(
    {
      code: 'daemon.unreachable',
      message: 'the daemon went away before it answered',
      remedy: 'try the command again',
    },
    { cause },
  );
}

export function sandboxPath(name: string): string {
  return `/v1/sandboxes/${encodeURIComponent(name)}`;
}

function jsonBody(body: unknown) {
  return { headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(body)) };
}
