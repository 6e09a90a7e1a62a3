// Runs one short command in the guest for the host's own purposes and collects its output, which is hostile:
// bounded, and never printed unsanitised. Interactive sessions go from the client to the agent directly.

import { WarrenError } from '../protocol/error.ts';
import { Gather } from '../protocol/gather.ts';
import type { Link } from './link/link.ts';
import { sessionEvents } from './session-events.ts';

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
  { cwd, timeoutMs = 30_000, warmUp, user, signal }: GuestRun = {},
): Promise<GuestResult> {
  const output = { stdout: new Gather(), stderr: new Gather() };
  let exitCode = 0;
  const events = sessionEvents(
    link,
    { cmd: command, args, ...(cwd && { cwd }) },
    {
      timeoutMs,
      ...(user && { user }),
      ...(signal && { signal }),
      ...(warmUp && { headers: { 'warren-warmup': '1' } }),
    },
  );
  for await (const event of events) {
    if (event.kind === 'end') {
      exitCode = event.exitCode;
      continue;
    }
    if (output.stdout.bytes + output.stderr.bytes + event.data.length > OUTPUT_MAX_BYTES)
      throw new WarrenError({
        code: 'machine.agent-garbage',
        message: `${command} printed more than ${OUTPUT_MAX_BYTES} bytes`,
      });
    output[event.kind].add(event.data);
  }
  return { exitCode, stdout: output.stdout.take(), stderr: output.stderr.take() };
}
