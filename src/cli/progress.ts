// Progress on stderr: on a terminal one line that is rewritten and vanishes, elsewhere one line a step. Nothing
// is shown of what takes less than a moment.

import cliProgress from 'cli-progress';
import type { Progress } from '../protocol/api.ts';
import { dim, say } from './terminal.ts';

const QUIET_MS = 300;
const MIB = 1024 ** 2;

export interface ProgressView {
  show(progress: Progress): void;
  stop(): void;
}

/** `plain`: all that steps print, a line each. */
export function openProgress(how: 'auto' | 'plain' = 'auto'): ProgressView {
  return process.stderr.isTTY && how === 'auto' ? bar() : lines(how === 'plain');
}

function bar(): ProgressView {
  const single = new cliProgress.SingleBar({
    format: (_options, params, payload: { step: string; unit: string }) => {
      const seconds = dim(`${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
      if (params.total <= 1) return `  ${payload.step} ${seconds}`;
      const width = 24;
      const full = Math.round(width * Math.min(1, params.progress));
      return `  ${payload.step} ${'━'.repeat(full)}${dim('━'.repeat(width - full))} ${payload.unit} ${seconds}`;
    },
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
    fps: 10,
  });
  const startedMs = performance.now();
  let latest: Progress = { step: '' };
  let shown = false;
  const timer = setTimeout(() => {
    shown = true;
    single.start(latest.total ?? 1, latest.done ?? 0, payloadOf(latest));
  }, QUIET_MS);
  return {
    show: (progress) => {
      latest = progress;
      if (!shown) return;
      single.setTotal(progress.total ?? 1);
      single.update(progress.done ?? 0, payloadOf(progress));
    },
    stop: () => {
      clearTimeout(timer);
      if (shown) single.stop();
      shown = false;
    },
  };
}

function payloadOf({ step: name, log, done, total }: Progress): { step: string; unit: string } {
  const columns = (process.stderr.columns ?? 80) - 12;
  const text = log === undefined ? name : `${name} ${dim(`│ ${log}`)}`;
  const step = log === undefined ? text : text.slice(0, columns);
  const unit =
    total !== undefined && total > MIB
      ? `${((done ?? 0) / MIB).toFixed(0)}/${(total / MIB).toFixed(0)} MiB`
      : `${done ?? 0}/${total ?? 0}`;
  return { step, unit };
}

function lines(isPlain: boolean): ProgressView {
  let step = '';
  const startedMs = performance.now();
  return {
    show: ({ step: name, log }) => {
      const isQuiet = !isPlain && performance.now() - startedMs < QUIET_MS;
      if (name !== step && !isQuiet) {
        step = name;
        say(`  ${step}…`);
      }
      if (log !== undefined && isPlain) say(dim(`    ${log}`));
    },
    stop: () => {},
  };
}
