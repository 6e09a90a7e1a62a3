// Folders that only their user may enter. A folder that someone else made, or that a link leads to, is refused:
// whoever owns it could take what is put there.

import { chmod, lstat, mkdir } from 'node:fs/promises';
import { WarrenError } from '../protocol/error.ts';

/** Makes `path` (0700) or checks that it is ours. Throws `host.foreign-folder`. */
export async function ensurePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const found = await lstat(path);
  const uid = process.getuid?.() ?? 0;
  if (!found.isDirectory() || found.uid !== uid) {
    throw new WarrenError({
      code: 'host.foreign-folder',
      message: `cannot use ${path}: ${found.isDirectory() ? `it belongs to uid ${found.uid}, and this is uid ${uid}` : 'it is not a folder'}`,
      remedy: `move it away: mv ${path} ${path}.old`,
    });
  }
  if ((found.mode & 0o077) !== 0) await chmod(path, 0o700);
}
