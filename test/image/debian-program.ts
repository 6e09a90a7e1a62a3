// Programs of Debian that tests need and nobody else: the installed one, or that of a package which is fetched and
// unpacked, not installed: installing docker-registry would start a service.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `inside`: its path in the package. Answers the program, or why there is none. */
export function debianProgram(
  name: string,
  inside: string,
  fits: (path: string) => boolean = () => true,
): { program: string } | { missing: string } {
  const installed = `/${inside}`;
  if (existsSync(installed) && fits(installed)) return { program: installed };
  const folder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'warren-test');
  const program = join(folder, name, inside);
  if (existsSync(program)) return { program };
  mkdirSync(folder, { recursive: true });
  const made = mkdtempSync(join(folder, '.program-'));
  try {
    execFileSync('apt-get', ['download', name], { cwd: made, stdio: 'pipe' });
    const file = readdirSync(made).find((each) => each.endsWith('.deb'))!;
    execFileSync('dpkg-deb', ['-x', join(made, file), join(made, 'root')], { stdio: 'pipe' });
    renameSync(join(made, 'root'), join(folder, name));
    return { program };
  } catch (error) {
    return existsSync(program)
      ? { program }
      : { missing: `Debian's ${name} cannot be fetched: ${(error as Error).message.slice(0, 200)}` };
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/** One program that needs nothing beside it. */
export const staticBusybox = () =>
  debianProgram('busybox-static', 'bin/busybox', (path) => !readFileSync(path).includes('ld-linux'));
