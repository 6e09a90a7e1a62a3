// `warren prune`.

import type { PruneResult } from '../../protocol/prune.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import { withClient } from '../context.ts';
import { parseAge, parseSize, untilOf } from '../quantity.ts';
import { plural, print, printJson, say } from '../terminal.ts';
import { ago } from '../time.ts';
import { table } from './ls.ts';

interface PruneFlags {
  all?: boolean;
  olderThan?: string;
  filter: string[];
  keepStorage?: string;
  dryRun?: boolean;
  json?: boolean;
}

export async function prune(flags: PruneFlags): Promise<void> {
  const { all = false, olderThan, filter, keepStorage, dryRun = false } = flags;
  const until = filter.map((text) => untilOf(text)).at(-1);
  const olderThanMs = olderThan === undefined ? (until ?? null) : parseAge(olderThan, '--older-than');
  const keepBytes = keepStorage === undefined ? null : parseSize(keepStorage, '--keep-storage');
  const result = await withClient((client) => client.prune({ all, olderThanMs, keepBytes, dryRun }));
  if (flags.json) {
    printJson(result);
    return;
  }
  if (dryRun && result.items.length > 0) print(listOf(result));
  say(summary(result));
}

function listOf({ items }: PruneResult): string {
  const rows = items.map(({ kind, id, what, bytes, usedAt }) => [
    kind,
    id,
    `${Math.round(bytes / 1024 ** 2)} MiB`,
    usedAt === null ? '-' : ago(usedAt),
    sanitizeLine(what) || '-',
  ]);
  return table(['KIND', 'ID', 'ON DISK', 'LAST USED', 'FOR'], rows);
}

function summary(result: PruneResult): string {
  const { templates, images, layers, kernels, caches, archives, downloadsBytes, freedMib, leftMib } = result;
  const counts: [string[], string][] = [
    [templates, 'template'],
    [images, 'image'],
    [layers, 'layer'],
    [kernels, 'kernel'],
    [caches, 'build cache'],
    [archives, 'audit archive'],
  ];
  const parts = counts.map(([ids, what]) => plural(ids.length, what));
  const verb = result.dryRun ? 'would remove' : 'removed';
  return `${verb} ${parts.join(', ')} and ${Math.round(downloadsBytes / 1024 ** 2)} MiB of downloads: ${freedMib} MiB; ${leftMib} MiB ${result.dryRun ? 'would be' : 'are'} left`;
}
