// An empty ext4 disk in a sparse file.

import { truncate, writeFile } from 'node:fs/promises';
import { run } from '../host/run.ts';

export async function makeDisk(
  file: string,
  diskGib: number,
  options: { signal?: AbortSignal } = {},
): Promise<void> {
  await writeFile(file, '', { mode: 0o600 });
  await truncate(file, diskGib * 1024 ** 3);
  await run(
    'mke2fs',
    [
      ...['-q', '-F', '-t', 'ext4', '-m', '0', '-J', 'size=32'],
      ...['-E', 'lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0', file],
    ],
    options,
  );
}
