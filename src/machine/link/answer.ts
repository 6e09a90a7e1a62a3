// Answers of the agent: their bodies, whatever becomes of the stream, and what its refusals mean. A guest's words.

import type { ClientHttp2Stream } from 'node:http2';
import { PassThrough, type Readable } from 'node:stream';
import { type ErrorShape, WarrenError } from '../../protocol/error.ts';
import { Gather } from '../../protocol/gather.ts';
import { limits } from '../../protocol/limits.ts';

/** An answer whose body has not been read yet. `headers` are the guest's words. */
export interface StreamAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Readable;
}

/**
 * Not `pipeline`: when a refusal comes before the payload was taken, the payload's end destroys the stream in an order of
 * events (`error` before `end`) that lets it wait for ever.
 */
export function copyBody(stream: ClientHttp2Stream): PassThrough {
  const body = new PassThrough();
  body.on('error', () => {});
  body.on('drain', () => stream.resume());
  body.once('close', () => stream.destroy());
  let isRefusal = false;
  stream.once('response', (answer) => {
    isRefusal = Number(answer[':status']) >= 400;
  });
  stream.on('data', (chunk: Buffer) => {
    if (!body.write(chunk)) stream.pause();
  });
  stream.once('end', () => body.end());
  stream.on('error', () => {});
  stream.once('close', () => {
    if (body.writableEnded) return;
    // Of a refusal all has come that will: whether it is whole, its JSON tells. Of anything else, bytes are missing.
    if (isRefusal) body.end();
    else body.destroy(lost());
  });
  return body;
}

export async function readJson(answer: StreamAnswer): Promise<unknown> {
  const bytes = await readAll(answer.body, limits.agentJsonBytes);
  if (bytes.length === 0) return {};
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new WarrenError(
      { code: 'machine.agent-garbage', message: 'the agent answered something that is not JSON' },
      { cause },
    );
  }
}

/** Reads a hostile body to its end; throws `machine.agent-garbage` past `maxBytes`. */
export async function readAll(body: Readable, maxBytes: number): Promise<Buffer> {
  const all = new Gather();
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (all.bytes + chunk.length > maxBytes) {
        throw new WarrenError({
          code: 'machine.agent-garbage',
          message: `the agent answered more than ${maxBytes} bytes`,
        });
      }
      all.add(chunk);
    }
  } catch (cause) {
    if (cause instanceof WarrenError) throw cause;
    throw lost(cause);
  }
  return all.take();
}

export function agentError(
  path: string,
  status: number,
  shape: { code?: unknown; message?: unknown },
): WarrenError {
  const agentCode =
    typeof shape.code === 'string' && /^[a-z_]{1,40}$/.test(shape.code) ? shape.code : 'unknown';
  const said = typeof shape.message === 'string' ? shape.message.slice(0, 2000) : `status ${status}`;
  const error: ErrorShape = {
    code: `agent.${agentCode.replaceAll('_', '-')}`,
    message: `the agent refused ${path.split('?')[0]}: ${said}`,
    details: { status },
  };
  return new WarrenError(error);
}

export function lost(cause?: unknown): WarrenError {
  return new WarrenError(
    { code: 'machine.channel-closed', message: 'the connection to the agent was lost' },
    { cause },
  );
}
