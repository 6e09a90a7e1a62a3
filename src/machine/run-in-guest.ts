// Runs one short command in the guest for the host's own purposes and collects its output, which is hostile:
// bounded, and never printed unsanitised. Interactive sessions go from the client to the agent directly.

import { EnvelopeReader, encodeEnvelope } from '../protocol/connect.ts';
import { WarrenError } from '../protocol/error.ts';
import type { Link } from './link/link.ts';

export interface GuestRun {
  user?: string;
  cwd?: string;
  timeoutMs?: number;
  /** Allowed before the machine was told who it is. */
  warmUp?: boolean;
  signal?: AbortSignal;
}

export interface GuestResult {
  exitCode: number;
  stdout: Buffer;
  stderr: Buffer;
}

const OUTPUT_MAX_BYTES = 8 * 1024 * 1024;

export async function runInGuest(
  link: Link,
  command: string,
  args: string[],
  options: GuestRun = {},
): Promise<GuestResult> {
  const { body } = await link.send('/process.Process/Start', {
    method: 'POST',
    timeoutMs: options.timeoutMs ?? 30_000,
    ...(options.signal && { signal: options.signal }),
    headers: {
      'content-type': 'application/connect+json',
      'connect-protocol-version': '1',
      ...(options.user && { authorization: `Basic ${Buffer.from(`${options.user}:`).toString('base64')}` }),
      ...(options.warmUp && { 'warren-warmup': '1' }),
    },
    payload: encodeEnvelope({
      process: { cmd: command, args, ...(options.cwd && { cwd: options.cwd }) },
      stdin: false,
    }),
  });
  const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  let bytes = 0;
  let exitCode: number | undefined;
  const reader = new EnvelopeReader();
  for await (const chunk of body as AsyncIterable<Buffer>) {
    for (const message of reader.push(chunk)) {
      const event = (message.value as { event?: ProcessEvent }).event;
      if (message.end) {
        if (message.error)
          throw new WarrenError({
            code: `agent.${message.error.code.replaceAll('_', '-')}`,
            message: message.error.message,
          });
        continue;
      }
      for (const name of ['stdout', 'stderr'] as const) {
        const data = event?.data?.[name];
        if (typeof data !== 'string') continue;
        const decoded = Buffer.from(data, 'base64');
        bytes += decoded.length;
        if (bytes > OUTPUT_MAX_BYTES)
          throw new WarrenError({
            code: 'machine.agent-garbage',
            message: `${command} printed more than ${OUTPUT_MAX_BYTES} bytes`,
          });
        output[name].push(decoded);
      }
      if (event?.end) exitCode = Number(event.end.exitCode ?? 0);
    }
  }
  if (exitCode === undefined)
    throw new WarrenError({
      code: 'machine.channel-closed',
      message: `${command} ended without an exit code`,
    });
  return { exitCode, stdout: Buffer.concat(output.stdout), stderr: Buffer.concat(output.stderr) };
}

interface ProcessEvent {
  data?: { stdout?: unknown; stderr?: unknown };
  end?: { exitCode?: unknown };
}
