// A bare repository of our own that borrows the user's objects. What a guest sends is judged here; removing the
// folder undoes everything. Its configuration is written by us and holds nothing of the guest's.

import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Repository } from './open.ts';

const PREFIX = 'handback-';
const BRANCH = 'refs/heads/handback';
/** Quarantines that this process is using. */
const active = new Set<string>();

export interface Quarantine {
  gitDir: string;
  /** Points a branch at a commit that was found good; answers with its name. */
  point(tip: string): Promise<string>;
  remove(): Promise<void>;
}

/** Removes what interrupted hand-backs left in `folder`, then makes a fresh quarantine in it. */
export async function makeQuarantine(repository: Repository, folder: string): Promise<Quarantine> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await sweepQuarantine(folder);
  const name = `${PREFIX}${process.pid}-${randomBytes(6).toString('hex')}`;
  const gitDir = join(folder, name);
  active.add(gitDir);
  const remove = async () => {
    await rm(gitDir, { recursive: true, force: true, maxRetries: 3 });
    active.delete(gitDir);
  };
  try {
    await fill(repository, gitDir);
  } catch (error) {
    await remove();
    throw error;
  }
  const point = async (tip: string) => {
    await writeFile(join(gitDir, BRANCH), `${tip}\n`);
    return BRANCH;
  };
  return { gitDir, point, remove };
}

export async function sweepQuarantine(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const pid = name.match(/^handback-(\d+)-[0-9a-f]+$/)?.[1];
    if (pid === undefined || active.has(join(folder, name)) || runsElsewhere(Number(pid))) continue;
    await rm(join(folder, name), { recursive: true, force: true, maxRetries: 3 });
  }
}

async function fill(repository: Repository, gitDir: string): Promise<void> {
  const objects = join(repository.commonDir, 'objects');
  const sha256 = repository.objectFormat === 'sha256';
  await mkdir(join(gitDir, 'objects', 'info'), { recursive: true, mode: 0o700 });
  await mkdir(join(gitDir, 'objects', 'pack'));
  await mkdir(join(gitDir, 'refs', 'heads'), { recursive: true });
  await writeFile(join(gitDir, 'HEAD'), 'ref: refs/heads/none\n');
  await writeFile(join(gitDir, 'objects', 'info', 'alternates'), `${alternate(objects)}\n`);
  const config = [
    '[core]',
    `\trepositoryformatversion = ${sha256 ? 1 : 0}`,
    '\tbare = true',
    ...(sha256 ? ['[extensions]', '\tobjectformat = sha256'] : []),
  ];
  await writeFile(join(gitDir, 'config'), `${config.join('\n')}\n`);
  // Where the user's history is cut; a guest's own cuts never count.
  await copyFile(join(repository.commonDir, 'shallow'), join(gitDir, 'shallow')).catch(() => undefined);
}

/** A line of `info/alternates`: quoted like C where a plain line would be read as something else. */
function alternate(path: string): string {
  if (!/["\\\n]/.test(path)) return path;
  return `"${path.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n')}"`;
}

function runsElsewhere(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
