// `warren ls`.

import Table from 'cli-table3';
import { withClient } from '../context.ts';
import { dim, print, printJson, say } from '../terminal.ts';
import { ago } from '../time.ts';

export async function ls(flags: { json?: boolean; quiet?: boolean }): Promise<void> {
  const sandboxes = await withClient((client) => client.list());
  if (flags.json) printJson(sandboxes);
  else if (flags.quiet) for (const { name } of sandboxes) print(name);
  else if (sandboxes.length === 0) say(dim('no sandboxes; make one with: warren up'));
  else {
    const rows = sandboxes.map(({ name, state, repository, memoryMib, createdAt }) => [
      name,
      state,
      repository?.root ?? '-',
      `${memoryMib} MiB`,
      ago(createdAt),
    ]);
    print(table(['NAME', 'STATE', 'REPOSITORY', 'MEMORY', 'MADE'], rows));
  }
}

/** Columns without lines, as docker and kubectl print them. */
export function table(head: string[], rows: string[][]): string {
  const lines = new Table({
    head,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 3 },
    chars: {
      top: '',
      'top-mid': '',
      'top-left': '',
      'top-right': '',
      bottom: '',
      'bottom-mid': '',
      'bottom-left': '',
      'bottom-right': '',
      left: '',
      'left-mid': '',
      mid: '',
      'mid-mid': '',
      right: '',
      'right-mid': '',
      middle: '',
    },
  });
  lines.push(...rows);
  return lines.toString().replaceAll(/ +$/gm, '');
}
