// Which code this is: a client asks a daemon of other code to make way for one of its own.

import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const version = '0.1.0';

/** Version, and the time at which the daemon's code was built. */
export function buildId(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  for (const file of ['daemon.js', 'build.ts']) {
    try {
      return `${version} ${Math.round(statSync(join(here, file)).mtimeMs)}`;
    } catch {}
  }
  return version;
}
