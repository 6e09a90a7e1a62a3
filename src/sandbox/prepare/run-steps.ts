// Runs steps in a machine, one after the other, tells what they say, and says why one failed.

import { StepLog } from '../../image/build/step-log.ts';
import type { Machine } from '../../machine/machine.ts';
import { sessionEvents } from '../../machine/session-events.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { OnProgress } from '../rooms.ts';
import type { Boot, Step } from './preparation.ts';

const FOLDERS_TIMEOUT_MS = 30_000;

export interface Workplace {
  user: string;
  cwd: string;
  env: Record<string, string>;
  /** Gets all that the steps say. */
  logFile: string;
  /** What the log holds already stays. */
  append?: boolean;
  /** Aborts when it takes too long. */
  tooLate?: AbortSignal;
  /** What a step that goes on for so long is ended after, by the guest itself. */
  limitMs?: number;
}

/** null: it went well; else why it did not, with its last words. Throws `usage.cancelled`. */
export async function runSteps(
  machine: Machine,
  steps: readonly Step[],
  place: Workplace,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<{ step: Step; why: string; said: readonly string[] } | null> {
  let step: Step | undefined;
  const log = await StepLog.open(
    place.logFile,
    new Map(),
    (line) => onProgress({ step: shorten(step?.title ?? ''), log: line }),
    place.append ? 'a' : 'w',
  );
  try {
    for (step of steps) {
      const title = shorten(step.title);
      log.begin(title);
      onProgress({ step: title });
      const why = await runStep(machine, step, place, log, signal);
      await log.flush();
      if (why !== null) return { step, why, said: log.tail };
    }
    return null;
  } finally {
    await log.close();
  }
}

/** What an environment wants at each boot: its folders, then what root starts. */
export async function runBoot(
  machine: Machine,
  { folders, script }: Boot,
  place: Omit<Workplace, 'cwd'>,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<Awaited<ReturnType<typeof runSteps>>> {
  const begun = { title: 'what the environment starts', script: script ?? ':' };
  if (folders.length > 0) {
    const made = await machine
      .link()
      .then((link) =>
        link.json('/warren/folders', {
          method: 'POST',
          body: { user: place.user, folders },
          timeoutMs: FOLDERS_TIMEOUT_MS,
        }),
      )
      .then(() => null, WarrenError.from);
    if (made) return { step: begun, why: made.message, said: [] };
  }
  const root = { ...place, user: 'root', cwd: '/' };
  return await runSteps(machine, script === null ? [] : [begun], root, onProgress, signal);
}

async function runStep(
  machine: Machine,
  { script }: Step,
  { user, cwd, env, tooLate, limitMs }: Workplace,
  log: StepLog,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    const events = sessionEvents(
      await machine.link(),
      // One pipe, so that what is said stays in its order.
      { cmd: '/bin/sh', args: ['-c', `exec 2>&1\n${script}`], envs: env, cwd },
      {
        user,
        timeoutMs: 0,
        signal: tooLate ? AbortSignal.any([signal, tooLate]) : signal,
        ...(limitMs !== undefined && { headers: { 'connect-timeout-ms': String(limitMs) } }),
      },
    );
    for await (const event of events) {
      if (event.kind !== 'end') await log.say(event.kind, event.data);
      else if (event.exitCode < 0) return event.status;
      else if (event.exitCode > 0) return `it exited with ${event.exitCode}`;
    }
    return null;
  } catch (cause) {
    if (signal.aborted) throw new WarrenError({ code: 'usage.cancelled', message: 'cancelled' }, { cause });
    const { code, message } = WarrenError.from(cause);
    if (limitMs !== undefined && code === 'agent.deadline-exceeded')
      return `it was not done after ${Math.round(limitMs / 1000)} s`;
    return tooLate?.aborted ? 'it took too long' : message;
  }
}

const shorten = (title: string) => title.replace(/\s+/g, ' ').slice(0, 200);
