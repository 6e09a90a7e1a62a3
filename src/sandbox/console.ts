// `logs`: what the machine's console printed, kept up to a limit. The guest's words.

import { readFile } from 'node:fs/promises';
import type { Conductor, Sandbox } from './conductor.ts';

export async function readConsole(conductor: Conductor, sandbox: Sandbox): Promise<string> {
  await sandbox.machine?.saveConsole().catch(() => {});
  return await readFile(conductor.files(sandbox).machine.console, 'utf8').catch(() => '');
}
