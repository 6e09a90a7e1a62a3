// Programs of this computer as entries of an image, with the libraries that they are linked to.

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import type { Entry } from './make-image.ts';

/** Where a program lies; undefined: it is not installed. */
export function installed(name: string): string | undefined {
  const { status, stdout } = spawnSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' });
  return status === 0 ? realpathSync(stdout.trim()) : undefined;
}

/** Each as `/bin/NAME`. */
export function hostPrograms(names: readonly string[]): Entry[] {
  const libraries = new Set<string>();
  const programs = names.map((name): Entry => {
    const program = installed(name)!;
    for (const [path] of execFileSync('ldd', [program], { encoding: 'utf8' }).matchAll(/\/\S+(?= \(0x)/g))
      libraries.add(path);
    return { name: `bin/${name}`, mode: 0o755, content: readFileSync(program) };
  });
  return [
    ...programs,
    ...[...libraries].map(
      (path): Entry => ({ name: path.slice(1), mode: 0o755, content: readFileSync(path) }),
    ),
  ];
}
