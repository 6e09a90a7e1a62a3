// Runs a program of this computer and waits for it. The environment is given whole by the caller: nothing
// of this process's own environment leaks in unless it is named.

import { spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';
import { WarrenError } from '../protocol/error.ts';

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Bytes or a stream for standard input; nothing (an empty input) by default. */
  input?: string | Buffer | Readable;
  signal?: AbortSignal;
  timeoutMs?: number;
  /** More output than this on stdout ends the program with `host.output-too-large`. Default 64 MiB. */
  maxOutputBytes?: number;
  /** Exit codes that are answers rather than failures. Default [0]. */
  okCodes?: number[];
  /** Where standard output goes instead of being kept, with backpressure; its failure ends the program. */
  output?: Writable;
  /** Called with each chunk of standard error, for progress. */
  onStderr?: (chunk: string) => void;
}

export interface RunResult {
  code: number;
  stdout: Buffer;
  stderr: string;
}

const STDERR_KEPT_CHARS = 16_384;
const CLOSE_GRACE_MS = 2000;

/** Runs `file` with `args` to its end; throws `host.command-failed` (with the last of stderr) otherwise. */
export async function run(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const { input, okCodes = [0], maxOutputBytes = 64 * 1024 * 1024 } = options;
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: options.env ?? { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(options.signal && { signal: options.signal }),
    ...(options.timeoutMs !== undefined && { timeout: options.timeoutMs, killSignal: 'SIGKILL' as const }),
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  let tooLarge = false;
  let stderr = '';
  const { output } = options;
  const poured = output
    ? pipeline(child.stdout!, output).catch((error: unknown) => {
        child.kill('SIGKILL');
        throw error;
      })
    : Promise.resolve();
  if (!output) {
    child.stdout!.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxOutputBytes) {
        tooLarge = true;
        child.kill('SIGKILL');
      } else chunks.push(chunk);
    });
  }
  child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
    stderr = (stderr + chunk).slice(-STDERR_KEPT_CHARS);
    options.onStderr?.(chunk);
  });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  // A program may end before it has read its input: its exit code tells, not the broken pipe.
  const fed =
    input === undefined
      ? Promise.resolve()
      : typeof input === 'string' || Buffer.isBuffer(input)
        ? new Promise<void>((resolve) =>
            child.stdin!.on('error', () => resolve()).end(input, () => resolve()),
          )
        : pipeline(input, child.stdin!).catch((error: NodeJS.ErrnoException) => {
            if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_PREMATURE_CLOSE') {
              child.kill('SIGKILL');
              throw error;
            }
          });
  let end: { code: number | null; signal: NodeJS.Signals | null };
  try {
    [end] = await Promise.all([ended, fed, poured]);
  } catch (cause) {
    // The caller will remove what the program wrote: it must not be writing any more.
    if (child.pid !== undefined)
      await Promise.race([closed, setTimeout(CLOSE_GRACE_MS, undefined, { ref: false })]);
    if (options.signal?.aborted) throw cancelled(cause);
    if (cause instanceof WarrenError) throw cause;
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new WarrenError(
      {
        code: missing ? 'host.command-missing' : 'host.command-failed',
        message: `cannot run ${file}: ${missing ? 'it is not installed' : (cause as Error).message}`,
        ...(missing && { remedy: `install ${file}, or run: warren doctor` }),
      },
      { cause },
    );
  }
  if (options.signal?.aborted) throw cancelled(options.signal.reason);
  if (tooLarge) {
    throw new WarrenError({
      code: 'host.output-too-large',
      message: `${file} printed more than ${maxOutputBytes} bytes`,
    });
  }
  if (end.code === null || !okCodes.includes(end.code)) {
    const how = end.code === null ? `was ended by ${end.signal}` : `exited with ${end.code}`;
    throw new WarrenError({
      code: 'host.command-failed',
      message: `${file} ${args[0] ?? ''} ${how}: ${lastLines(stderr)}`.trim(),
      details: { file, args: args.slice(0, 50), code: end.code, signal: end.signal, stderr },
    });
  }
  return { code: end.code, stdout: Buffer.concat(chunks), stderr };
}

export function cancelled(cause?: unknown): WarrenError {
  return new WarrenError({ code: 'usage.cancelled', message: 'cancelled' }, { cause });
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-5).join('\n').slice(-1000);
}
