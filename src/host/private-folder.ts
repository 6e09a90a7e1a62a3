// Folders that only their user may enter. A folder that someone else made, or that a link leads to, is refused:
// whoever owns it could take what is put there.

import { chmod, lstat, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { WarrenError } from '../protocol/error.ts';

/** Makes `path` (0700) or checks that it is ours. Throws `host.foreign-folder`. */
export async function ensurePrivateFolder(path: string): Promise<void> {
  await refuseSudo(path);
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

/** `sudo` may keep the HOME of whoever called it: what root makes in there, they could never use nor remove. */
async function refuseSudo(path: string): Promise<void> {
  const caller = Number(process.env['SUDO_UID'] ?? 0);
  if (process.getuid?.() !== 0 || caller === 0) return;
  let place = path;
  let found = await lstat(place).catch(() => null);
  while (!found && dirname(place) !== place) {
    place = dirname(place);
    found = await lstat(place).catch(() => null);
  }
  if (found?.uid !== caller) return;
  throw new WarrenError({
    code: 'host.foreign-folder',
    message: `cannot use ${path} with sudo: ${place} belongs to uid ${caller}, who called it`,
    remedy: 'run warren without sudo; or as root with its own home: sudo -H warren …',
  });
}
