// `logs`: what the machine's console printed, kept up to a limit, or what its lifecycle commands said. The guest's words.

import { open, readFile } from 'node:fs/promises';
import type { Conductor } from './conductor.ts';
import type { Sandbox } from './sandboxes.ts';

const LOG_MAX_BYTES = 4 * 1024 ** 2;

export async function readConsole(conductor: Conductor, sandbox: Sandbox): Promise<string> {
  await sandbox.machine?.saveConsole().catch(() => {});
  return await readFile(conductor.files(sandbox).machine.console, 'utf8').catch(() => '');
}

/** Its end, when it is long. */
export async function readLifecycleLog(conductor: Conductor, sandbox: Sandbox): Promise<string> {
  const file = await open(conductor.files(sandbox).lifecycleLog).catch(() => undefined);
  if (!file) return '';
  try {
    const { size } = await file.stat();
    const length = Math.min(size, LOG_MAX_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.subarray(0, bytesRead).toString('utf8');
  } finally {
    await file.close();
  }
}
