// What work costs, told so that it does not depend on who else is busy: CPU instead of time, memory without garbage.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/**
 * V8 frees what buffers held beside the program, and counts it as external until then; the next collection waits for
 * that. After a single one, up to 100 MiB of garbage were counted.
 */
export function collectGarbage(): void {
  collect();
  collect();
}

/** That this process has taken until now, in ms. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
