// Runs in a template, before it is frozen, what most sessions will run first, so that each restored machine
// finds those pages in the memory that all of them share.

import type { Link } from './link/link.ts';
import { runInGuest } from './run-in-guest.ts';

const WARM_COMMANDS: readonly string[][] = [
  ['/bin/sh', '-c', 'true'],
  ['/bin/bash', '-l', '-c', 'ls / > /dev/null; true'],
  ['git', '--version'],
  ['sudo', '-n', 'true'],
];

/** A command that an image does not have is no failure. */
export async function warmUp(link: Link): Promise<void> {
  for (const [command, ...args] of WARM_COMMANDS) {
    await runInGuest(link, command!, args, { warmUp: true, timeoutMs: 60_000 }).catch(() => {});
  }
}
