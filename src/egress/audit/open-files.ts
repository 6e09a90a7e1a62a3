// The files of one audit as they stand at one moment. The door's process renames them when the newest is full: who opened
// them one after the other, by name, would read one twice and another never.

import { type FileHandle, open, stat } from 'node:fs/promises';
import { auditFiles } from './audit-file.ts';

export interface OpenedFile {
  /** What it was called then. */
  path: string;
  handle: FileHandle;
  ino: number;
}

/** A rotation takes as long as writing 16 MiB. */
const TRIES = 100;

/** Oldest first, to be closed by the caller; none when there is none yet. What is in them stays, also when they go. */
export async function openAudit(path: string): Promise<OpenedFile[]> {
  for (let tries = 1; ; tries++) {
    const opened = await openAll(await auditFiles(path));
    if (opened && (await isAsListed(path, opened))) return opened;
    await closeAll(opened ?? []);
    if (tries === TRIES) throw new Error(`${path} is rotated faster than it can be read`);
  }
}

export async function closeAll(opened: readonly OpenedFile[]): Promise<void> {
  for (const { handle } of opened) await handle.close();
}

/** Null when one of them has another name by now. */
async function openAll(paths: readonly string[]): Promise<OpenedFile[] | null> {
  const opened: OpenedFile[] = [];
  try {
    for (const path of paths) {
      const handle = await open(path, 'r');
      opened.push({ path, handle, ino: 0 });
      opened.at(-1)!.ino = (await handle.stat()).ino;
    }
    return opened;
  } catch (error) {
    await closeAll(opened);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return null;
  }
}

async function isAsListed(path: string, opened: readonly OpenedFile[]): Promise<boolean> {
  const files = await auditFiles(path);
  const inodes = await Promise.all(files.map((file) => stat(file).catch(() => null)));
  return inodes.map((at) => at?.ino).join() === opened.map(({ ino }) => ino).join();
}
