// Starts a program in the guest and tells what becomes of it, as it comes. What it says is hostile: messages are bounded,
// and whoever reads slowly slows the program down.

import { EnvelopeReader, encodeEnvelope } from '../protocol/connect.ts';
import { WarrenError } from '../protocol/error.ts';
import type { Link } from './link/link.ts';

export interface SessionStart {
  cmd: string;
  args: readonly string[];
  envs?: Record<string, string>;
  cwd?: string;
}

export interface SessionOptions {
  /** `USER` or `USER:GROUP`. */
  user?: string;
  headers?: Record<string, string>;
  /** 0: as long as it takes. */
  timeoutMs: number;
  signal?: AbortSignal;
}

export type SessionEvent =
  | { kind: 'stdout' | 'stderr'; data: Buffer }
  | { kind: 'end'; exitCode: number; status: string };

/** Throws `agent.*` when it cannot be started, `machine.channel-closed` when its end is never told. */
export async function* sessionEvents(
  link: Link,
  start: SessionStart,
  { user, headers, timeoutMs, signal }: SessionOptions,
): AsyncGenerator<SessionEvent> {
  const { body } = await link.send('/process.Process/Start', {
    method: 'POST',
    timeoutMs,
    ...(signal && { signal }),
    headers: {
      'content-type': 'application/connect+json',
      'connect-protocol-version': '1',
      ...(user && { authorization: `Basic ${Buffer.from(`${user}:`).toString('base64')}` }),
      ...headers,
    },
    payload: encodeEnvelope({ process: start, stdin: false }),
  });
  const reader = new EnvelopeReader();
  let ended = false;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    for (const message of reader.push(chunk)) {
      if (message.end) {
        if (message.error)
          throw new WarrenError({
            code: `agent.${message.error.code.replaceAll('_', '-')}`,
            message: message.error.message,
          });
        continue;
      }
      const event = (message.value as { event?: ProcessEvent }).event;
      for (const kind of ['stdout', 'stderr'] as const) {
        const data = event?.data?.[kind];
        if (typeof data === 'string') yield { kind, data: Buffer.from(data, 'base64') };
      }
      if (event?.end && !ended) {
        ended = true;
        const { exitCode = 0, status = '' } = event.end;
        yield { kind: 'end', exitCode: Number(exitCode), status: String(status).slice(0, 200) };
      }
    }
  }
  if (!ended)
    throw new WarrenError({
      code: 'machine.channel-closed',
      message: `${start.cmd} ended without an exit code`,
    });
}

interface ProcessEvent {
  data?: { stdout?: unknown; stderr?: unknown };
  end?: { exitCode?: unknown; status?: unknown };
}
