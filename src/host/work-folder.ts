// Folders for work that is over soon, in the folder for temporary files: sockets need a short path, and what is made there
// may be on memory. They name the process that made them, so that another one can tell what a dead one left.

import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** In a container that shares the folder, processes have numbers of their own: what is that young may be used there. */
const YOUNG_MS = 3_600_000;

/** 0700; to be removed by the caller. */
export async function makeWorkFolder(what: 'template' | 'kvm' | 'image'): Promise<string> {
  return await mkdtemp(join(tmpdir(), `warren-${process.pid}-${what}-`));
}

/** Removes what processes of this user that are dead by now left. */
export async function sweepWorkFolders(youngMs = YOUNG_MS): Promise<void> {
  for (const name of await readdir(tmpdir()).catch(() => [])) {
    const pid = /^warren-(\d+)-[a-z]+-\w{6}$/.exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    const folder = join(tmpdir(), name);
    const at = await stat(folder).catch(() => null);
    if (at?.uid !== process.getuid!() || Date.now() - at.mtimeMs < youngMs) continue;
    await rm(folder, { recursive: true, force: true });
  }
}
