// What every command starts from: a client whose daemon is the one beside this code, and cancellation by Ctrl-C.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '../client/client.ts';
import { buildId } from '../host/build.ts';
import type { Progress } from '../protocol/api.ts';
import { openProgress } from './progress.ts';

/** `WARREN_DAEMON`: another file to run as the daemon (tests). */
export function openClient(): Client {
  const here = dirname(fileURLToPath(import.meta.url));
  const main = process.env['WARREN_DAEMON'] ?? join(here, 'daemon.js');
  return new Client({
    daemon: { file: process.execPath, args: ['--disable-warning=ExperimentalWarning', main] },
    build: process.env['WARREN_BUILD'] ?? buildId(),
  });
}

export async function withClient<T>(work: (client: Client) => Promise<T>): Promise<T> {
  const client = openClient();
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

/** Runs a long call with progress; Ctrl-C cancels it and what it made is taken back. `client`: for `--debug`. */
export async function withProgress<T>(
  work: (options: { signal: AbortSignal; onProgress: (progress: Progress) => void }) => Promise<T>,
  how: 'auto' | 'plain' = 'auto',
  client?: Client,
): Promise<T> {
  const cancel = new AbortController();
  const progress = openProgress(how);
  const onSignal = () => cancel.abort();
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    return await work({
      signal: cancel.signal,
      onProgress: (step) => {
        if (step.failedStep === undefined || !client) return progress.show(step);
        progress.stop();
        const { failedStep } = step;
        void import('./debug-shell.ts').then(({ openDebugShell }) => openDebugShell(client, failedStep));
      },
    });
  } catch (error) {
    if (!cancel.signal.aborted) throw error;
    const { cancelled } = await import('../host/run.ts');
    throw cancelled(error);
  } finally {
    progress.stop();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}
