// The commands of a devcontainer.json that belong to one sandbox: what its machine starts, then what is done once, then what
// is done at each start. They go on after `up` has answered, unless it was told to wait for them.

import type { Machine } from '../../machine/machine.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { Conductor } from '../conductor.ts';
import { type Step, TIMEOUT_MS } from '../prepare/preparation.ts';
import type { runSteps, Workplace } from '../prepare/run-steps.ts';
import type { OnProgress } from '../rooms.ts';
import type { Sandbox } from '../sandboxes.ts';

/**
 * `made`: for the first time. Resolves when what is waited for is done; a failure is in the record, not thrown. Later starts
 * wait for none of its commands: whoever stops the sandbox would have to wait as well.
 */
export async function beginLifecycle(
  conductor: Conductor,
  sandbox: Sandbox,
  { made, booted }: { made: boolean; booted: boolean },
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<void> {
  const { lifecycle } = sandbox.record;
  if (!lifecycle) return;
  const { boot, create, start, waitFor } = lifecycle;
  const once = made ? create : [];
  const first = waitFor === 'prepared' ? [] : once;
  const second = made && waitFor === 'start' ? start : [];
  const later = [...once.slice(first.length), ...start.slice(second.length)];
  const { signal: never } = new AbortController();
  const run = (steps: readonly Step[], either = never, tell: OnProgress = () => {}) =>
    noted(conductor, sandbox, steps, (machine, place) => runSteps(machine, steps, place, tell, either));
  const { runBoot, runSteps } = await import('../prepare/run-steps.ts');
  const started = { title: 'what the environment starts', script: boot.script ?? '' };
  const needed = booted && (boot.script !== null || boot.folders.length > 0);
  const ready = await noted(conductor, sandbox, needed ? [started] : [], (machine, place) =>
    runBoot(machine, boot, place, onProgress, signal),
  );
  if (!ready || !(await run([...first, ...second], signal, onProgress))) return;
  // It ends with its machine, and then there is nobody to tell.
  run(later).catch(() => {});
}

/** Answers false when a step failed: none after it is run. */
async function noted(
  conductor: Conductor,
  sandbox: Sandbox,
  steps: readonly Step[],
  run: (machine: Machine, place: Workplace) => ReturnType<typeof runSteps>,
): Promise<boolean> {
  if (steps.length === 0) return true;
  const { user, workdir: cwd, lifecycle } = sandbox.record;
  const limitMs = lifecycle?.timeoutMs ?? TIMEOUT_MS;
  const machine = conductor.running(sandbox);
  const logFile = conductor.files(sandbox).lifecycleLog;
  await note(conductor, sandbox, { state: 'running', step: steps[0]!.title, why: null });
  const place = { user, cwd, env: {}, logFile, append: true, limitMs };
  let cancelled: WarrenError | undefined;
  const failed = await run(machine, place).catch((error: unknown) => {
    const { code, message } = WarrenError.from(error);
    if (code === 'usage.cancelled') cancelled = WarrenError.from(error);
    return { step: steps[0]!, why: message, said: [] };
  });
  await note(
    conductor,
    sandbox,
    failed
      ? { state: 'failed', step: failed.step.title, why: [failed.why, ...failed.said.slice(-5)].join('; ') }
      : { state: 'done', step: steps.at(-1)!.title, why: null },
  );
  if (cancelled) throw cancelled;
  return failed === null;
}

async function note(
  conductor: Conductor,
  sandbox: Sandbox,
  setup: NonNullable<Sandbox['record']['setup']>,
): Promise<void> {
  if (conductor.find(sandbox.record.id) !== sandbox) return;
  const cut = { ...setup, step: setup.step.slice(0, 1000), why: setup.why?.slice(0, 3000) ?? null };
  await conductor.update(sandbox, { setup: cut }, 'lifecycle', cut);
}
