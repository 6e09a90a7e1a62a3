// Git before 2.32 lacks options that keep a hand-back safe; it is refused before it does anything half way. Asked
// once per process.

import { run } from '../host/run.ts';
import { WarrenError } from '../protocol/error.ts';

const OLDEST = [2, 32] as const;

let checked: Promise<void> | null = null;

/** Throws `repo.git-too-old`. */
export function requireGit(): Promise<void> {
  checked ??= check().catch((error: unknown) => {
    checked = null;
    throw error;
  });
  return checked;
}

/** Pure: `git version 2.39.5 (Apple Git-154)` and the like. */
export function isNewEnough(version: string): boolean {
  const [, major, minor] = version.match(/(\d+)\.(\d+)/) ?? [];
  if (major === undefined) return false;
  return Number(major) > OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) >= OLDEST[1]);
}

async function check(): Promise<void> {
  const { stdout } = await run('git', ['version'], { env: { PATH: process.env.PATH, LC_ALL: 'C' } });
  const version = stdout.toString().trim();
  if (isNewEnough(version)) return;
  throw new WarrenError({
    code: 'repo.git-too-old',
    message: `cannot use ${version.slice(0, 100)}: git ${OLDEST.join('.')} or newer is needed`,
    remedy: 'install a newer git: https://git-scm.com/downloads',
  });
}
