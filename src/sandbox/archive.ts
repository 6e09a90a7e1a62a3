// What outlives a sandbox whose commits came home: its journal and audit, which the notes on those commits speak of.
// Limits: 1 GiB of all archives, of which the oldest go first.

import { copyFile, link, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { auditFiles } from '../egress/audit/audit-file.ts';
import { headFile } from '../egress/audit/head.ts';
import { makeFolderAtomic } from '../host/atomic-file.ts';
import { partsOf } from '../host/folder-parts.ts';
import { archiveFiles, archivesFolder, type Layout, sandboxFiles } from '../host/layout.ts';
import type { SandboxRecord } from './record.ts';

const MAX_BYTES = 1024 ** 3;

export interface Archive {
  /** The folder. */
  id: string;
  bytes: number;
  usedAtMs: number;
}

/**
 * Keeps what is to be kept of a sandbox that nothing writes to any more. It costs no room, so that a full disk does not keep
 * anybody from removing a sandbox, and does nothing when it is done already.
 */
export async function archive(layout: Layout, { id, handback }: SandboxRecord): Promise<void> {
  if (handback === null) return;
  const { journal, door } = sandboxFiles(layout, id);
  const files = [journal, headFile(door.audit), ...(await auditFiles(door.audit))];
  const { folder } = archiveFiles(layout, id);
  if (await stat(folder).catch(() => null)) return;
  await makeFolderAtomic(folder, async (to) => {
    for (const file of files) await keep(file, join(to, basename(file)));
  });
  for (const old of beyond(await archives(layout), MAX_BYTES))
    await rm(old, { recursive: true, force: true });
}

/** By another name; by a copy where a file can have only one. */
async function keep(file: string, to: string): Promise<void> {
  const orMissing = (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  };
  await link(file, to).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return;
    await copyFile(file, to).catch(orMissing);
  });
}

export async function archives(layout: Layout): Promise<Archive[]> {
  const folder = archivesFolder(layout);
  const parts = [...(await partsOf(folder))];
  return parts.map(([name, { bytes, madeAtMs }]) => ({ id: join(folder, name), bytes, usedAtMs: madeAtMs }));
}

/** Which go so that the rest has at most so many bytes. Pure. */
export function beyond(all: readonly Archive[], mostBytes: number): string[] {
  let bytes = 0;
  const gone: string[] = [];
  for (const each of [...all].sort((a, b) => b.usedAtMs - a.usedAtMs)) {
    bytes += each.bytes;
    if (bytes > mostBytes) gone.push(each.id);
  }
  return gone;
}
