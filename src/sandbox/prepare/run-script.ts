// Runs the commands of a preparation in their machine, tells what they say, and says why they failed.

import { StepLog } from '../../image/build/index.ts';
import type { Machine } from '../../machine/machine.ts';
import { sessionEvents } from '../../machine/session-events.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { OnProgress } from '../rooms.ts';
import type { Preparation } from './preparation.ts';

export interface Workplace {
  user: string;
  cwd: string;
  /** Gets all that the commands say. */
  logFile: string;
  /** What was not let through, a line each. */
  denied(): Promise<string[]>;
}

/** Throws `prepare.failed`, with the last words and the log. */
export async function runScript(
  machine: Machine,
  preparation: Preparation,
  place: Workplace,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<void> {
  const { script, env, commands, timeoutMs } = preparation;
  const title = commands.join('; ').slice(0, 200);
  const log = await StepLog.open(place.logFile, new Map(), (line) =>
    onProgress({ step: `preparing: ${title}`, log: line }),
  );
  const tooLate = AbortSignal.timeout(timeoutMs);
  let why: string | null = null;
  try {
    log.begin(title);
    onProgress({ step: `preparing: ${title}` });
    const events = sessionEvents(
      await machine.link(),
      // One pipe, so that what is said stays in its order.
      { cmd: '/bin/sh', args: ['-c', `exec 2>&1\n${script}`], envs: env, cwd: place.cwd },
      { user: place.user, timeoutMs: 0, signal: AbortSignal.any([signal, tooLate]) },
    );
    for await (const event of events) {
      if (event.kind !== 'end') await log.say(event.kind, event.data);
      else if (event.exitCode < 0) why = event.status;
      else if (event.exitCode > 0) why = `it exited with ${event.exitCode}`;
    }
  } catch (cause) {
    if (signal.aborted) throw new WarrenError({ code: 'usage.cancelled', message: 'cancelled' }, { cause });
    why = tooLate.aborted
      ? `it was not done after ${Math.round(timeoutMs / 1000)} s`
      : WarrenError.from(cause).message;
  } finally {
    await log.flush();
    await log.close();
  }
  if (why === null) return;
  const denied = await place.denied().catch(() => []);
  const said = log.tail.length > 0 ? `\n  ${log.tail.join('\n  ')}` : '';
  const refused = denied.length > 0 ? `\n  not let through: ${denied.join('; ')}` : '';
  throw new WarrenError({
    code: 'prepare.failed',
    message: `cannot prepare with ${preparation.from}, ${title}: ${why}${said}${refused}`,
    remedy:
      denied.length > 0
        ? 'allow what it needs in warren.json: "egress": {"allow": ["HOST"]}; or look into it: warren up --no-prepare'
        : 'look into it in a sandbox: warren up --no-prepare',
    log: place.logFile,
  });
}
