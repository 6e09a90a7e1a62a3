// The store that all test runs of this computer share: images and templates are addressed by content. What nobody used
// lately goes before a whole run, until little enough is left; what another run has used in the last hours stays.

import { mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

/** A whole run takes less than these hours. */
const KEPT = ['--keep-storage', '12GiB', '--older-than', '2h'];

export function testStore(): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return process.env['WARREN_TEST_STORE'] ?? join(cache, 'warren-test/store');
}

/** By a Warren of its own home. `run` calls a program and answers what it printed; its failure is told and nothing else. */
export async function tidyTestStore(
  run: (file: string, args: string[], env: NodeJS.ProcessEnv) => Promise<{ code: number; output: string }>,
): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'warren-tidy-'));
  const env = { PATH: process.env['PATH'], HOME: home, LC_ALL: 'C.UTF-8', WARREN_STORE: testStore() };
  try {
    const { output } = await run('bin/warren', ['prune', ...KEPT], env);
    await run('bin/warren', ['daemon', 'stop'], env);
    return output.trim();
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
