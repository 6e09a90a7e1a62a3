// The path of a unix socket ends at 107 bytes (sun_path of Linux). A longer one is reached through an open
// descriptor of its folder: /proc/self/fd/N/name names the same socket.

import { closeSync, openSync } from 'node:fs';
import { basename, dirname } from 'node:path';

const SUN_PATH_MAX_BYTES = 107;

export interface ReachablePath {
  name: string;
  /** Call it once the socket is connected or bound. */
  release(): void;
}

export function reachableSocketPath(path: string): ReachablePath {
  if (Buffer.byteLength(path) <= SUN_PATH_MAX_BYTES) return { name: path, release: () => {} };
  const folder = openSync(dirname(path), 'r');
  let open = true;
  return {
    name: `/proc/self/fd/${folder}/${basename(path)}`,
    release: () => {
      if (open) closeSync(folder);
      open = false;
    },
  };
}
