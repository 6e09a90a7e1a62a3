// A step from its beginning to its result in the store, or to an error that says which line failed and what it said.

import { storeFolders } from '../../host/layout.ts';
import { WarrenError } from '../../protocol/error.ts';
import { ensureLayer } from '../layer.ts';
import { type Bench, perform } from './perform.ts';
import { SecretGuard } from './secrets.ts';
import { ServedAgents } from './ssh/serve.ts';
import type { KeyedStep, StageState } from './stages.ts';
import { keepStep } from './step-store.ts';

export interface StepReport {
  text: string;
  line: number;
  cached: boolean;
  durationMs: number;
}

/** What a stage is called in the machine. */
export const stageName = (index: number) => `s${index}`;

/** Throws `build.*`. The step's layer is known afterwards. */
export async function runStep(
  bench: Bench,
  stage: StageState,
  keyed: KeyedStep,
  store: string,
  title: string,
): Promise<StepReport> {
  const { builder } = bench.workshop;
  const { step } = keyed;
  const name = stageName(stage.planned.index);
  const startedMs = performance.now();
  const served = new ServedAgents();
  try {
    await succeed(bench, name, keyed, title, served);
  } finally {
    await served.end();
  }
  const changed = await builder.closeStep(name, true);
  const folders = storeFolders(store);
  const layer = changed ? await receive(bench, name, folders.layers) : null;
  keyed.layer = layer;
  const durationMs = performance.now() - startedMs;
  await keepStep(keyed.key, { text: step.text, layer, durationMs }, folders);
  return { text: step.text, line: step.line, cached: false, durationMs: Math.round(durationMs) };
}

async function succeed(
  bench: Bench,
  stage: string,
  keyed: KeyedStep,
  title: string,
  served: ServedAgents,
): Promise<void> {
  const ended = await perform(bench, stage, keyed, served).catch(async (cause: unknown) => {
    throw await stepFailed(bench, keyed, title, WarrenError.from(cause).message, cause);
  });
  const { exitCode, status, command } = ended;
  if (exitCode === 0) return;
  const error = await stepFailed(bench, keyed, title, exitCode < 0 ? status : `it exited with ${exitCode}`);
  if (command) await bench.onFailedRun?.({ stage, command, says: error.message });
  throw bench.signal.aborted ? new WarrenError({ code: 'usage.cancelled', message: 'cancelled' }) : error;
}

async function receive({ workshop, secrets, signal }: Bench, stage: string, folder: string) {
  return await ensureLayer(
    {
      diffId: null,
      blob: null,
      open: async () => {
        const tar = await workshop.builder.layer(stage);
        const guard = new SecretGuard(secrets);
        tar.on('error', (error) => guard.destroy(error));
        return tar.pipe(guard);
      },
    },
    { folder, signal },
  );
}

async function stepFailed(
  { workshop, log, signal }: Bench,
  { step }: KeyedStep,
  title: string,
  why: string,
  cause?: unknown,
): Promise<WarrenError> {
  const known = cause instanceof WarrenError ? cause.toJSON() : undefined;
  if (signal.aborted) return new WarrenError({ code: 'usage.cancelled', message: 'cancelled' }, { cause });
  const denied = await workshop.denied().catch(() => []);
  const said = log.tail.length > 0 ? `\n  ${log.tail.join('\n  ')}` : '';
  const refused = denied.length > 0 ? `\n  not let through: ${denied.join('; ')}` : '';
  return new WarrenError(
    {
      code: known?.code.startsWith('build.') ? known.code : 'build.step-failed',
      message: `cannot build line ${step.line}, ${title}: ${why}${said}${refused}`,
      remedy:
        known?.remedy ??
        (denied.length > 0
          ? `allow what it needs in warren.json: "egress": {"allow": [${ruleFor(denied)}]}`
          : 'mend the step and build again: what came before it is kept'),
      details: { line: step.line, step: step.text.slice(0, 500) },
    },
    { cause },
  );
}

/** A host alone is for HTTPS: SSH has to be named. */
function ruleFor(denied: readonly string[]): string {
  const host = denied.flatMap((line) => /^([\w.-]+):22: /.exec(line)?.[1] ?? [])[0];
  return host === undefined ? '"HOST"' : `{"host": "${host}", "protocol": "tcp", "ports": [22]}`;
}
