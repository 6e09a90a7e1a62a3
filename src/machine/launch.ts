// Starts the VMM of a plan inside its box, detached: it outlives the daemon. What is left of it is found again
// by the identity that is returned (pid and start time), never by a parent's memory.

import { spawn } from 'node:child_process';
import { watch } from 'node:fs';
import { access, appendFile, chown, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { identify, type ProcessId, signalProcess, whenGone } from '../host/processes.ts';
import { WarrenError } from '../protocol/error.ts';
import { type BoxOptions, type Command, confine } from './confine.ts';
import type { Plan } from './driver.ts';

const START_TIMEOUT_MS = 10_000;
const KILL_TIMEOUT_MS = 5_000;

export interface Launched {
  /** The VMM itself, not the box around it. */
  vmm: ProcessId;
}

/** Starts it and waits until `readySocket` is there. Throws `machine.vmm-failed` with the VMM's own words. */
export async function launch(
  plan: Plan,
  box: BoxOptions,
  readySocket: string,
  logFile: string,
): Promise<Launched> {
  await mkdir(plan.socketFolder, { recursive: true, mode: 0o700 });
  if (box.uid !== undefined) {
    for (const path of [...plan.writable, plan.socketFolder]) await chown(path, box.uid, box.uid);
  }
  const command = confine(plan, box);
  const log = await open(logFile, 'a', 0o600);
  const ready = whenThere(readySocket);
  try {
    const { vmm, ended } = await start(command, log.fd, logFile);
    const gone = ended.then(async () => {
      throw await vmmFailed(logFile);
    });
    const late = new Promise<never>((_, reject) => {
      setTimeout(
        () => reject(failed('the VMM did not start: it made no control socket', logFile)),
        START_TIMEOUT_MS,
      ).unref();
    });
    gone.catch(() => {});
    late.catch(() => {});
    try {
      await Promise.race([ready.promise, gone, late]);
    } catch (error) {
      await end(vmm);
      throw error;
    }
    return { vmm };
  } finally {
    ready.stop();
    await log.close();
  }
}

/** Ends a VMM at once, as a power cut would. */
export async function end(vmm: ProcessId): Promise<void> {
  signalProcess(vmm, 'SIGKILL');
  await whenGone(vmm, KILL_TIMEOUT_MS);
}

async function start(
  command: Command,
  logFd: number,
  logFile: string,
): Promise<{ vmm: ProcessId; ended: Promise<void> }> {
  const child = spawn(command.file, command.args, {
    detached: true,
    cwd: '/',
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C.UTF-8' },
    stdio: ['ignore', logFd, logFd, command.infoFd === undefined ? 'ignore' : 'pipe'],
  });
  const ended = new Promise<void>((resolve) =>
    child.once('close', (code, signal) => {
      const how = signal ?? `code ${code}`;
      appendFile(logFile, `the VMM ended with ${how}\n`).then(resolve, () => resolve());
    }),
  );
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new WarrenError(
          { code: 'machine.vmm-failed', message: `cannot start ${command.file}: ${cause.message}` },
          { cause },
        ),
      ),
    );
  });
  child.unref();
  const pid =
    command.infoFd === undefined
      ? child.pid!
      : await innerPid(child.stdio[command.infoFd] as NodeJS.ReadableStream, ended);
  const vmm = pid === undefined ? undefined : identify(pid);
  return { vmm: vmm ?? { pid: -1, startTicks: -1 }, ended };
}

/** bwrap writes `{"child-pid": N, …}` once the box stands. */
async function innerPid(info: NodeJS.ReadableStream, ended: Promise<void>): Promise<number | undefined> {
  const text = new Promise<string>((resolve) => {
    let said = '';
    info.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('}')) resolve(said);
    });
    info.on('error', () => resolve(''));
  });
  const said = await Promise.race([text, ended.then(() => '')]);
  const pid = /"child-pid"\s*:\s*(\d+)/.exec(said)?.[1];
  return pid === undefined ? undefined : Number(pid);
}

/** Resolves when `path` exists, told by the folder's own events. */
function whenThere(path: string): { promise: Promise<void>; stop: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = () => access(path).then(resolve, () => {});
  const watcher = watch(dirname(path), () => void look());
  void look();
  return { promise, stop: () => watcher.close() };
}

async function lastLines(file: string): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, 2000);
    const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString('utf8').trim().split('\n').slice(-4).join('\n') || 'it printed nothing';
  } finally {
    await handle.close();
  }
}

/** The error of a VMM that ended, with its last words. */
export async function vmmFailed(log: string, cause?: unknown): Promise<WarrenError> {
  return failed(`the VMM did not start: ${await lastLines(log)}`, log, cause);
}

function failed(message: string, log: string, cause?: unknown): WarrenError {
  return new WarrenError({ code: 'machine.vmm-failed', message, log, remedy: 'warren doctor' }, { cause });
}
