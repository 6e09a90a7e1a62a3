// `warren diff`: what `merge` would bring, and what it would leave behind.

import { sanitize, sanitizeLine } from '../../protocol/sanitize.ts';
import { withClient } from '../context.ts';
import { plural, print, printJson, say } from '../terminal.ts';

export async function diff(name: string, flags: { stat?: boolean; json?: boolean }): Promise<void> {
  const result = await withClient((client) => client.diff(name, { stat: flags.stat === true }));
  if (flags.json) {
    printJson(result);
    return;
  }
  say(`${plural(result.commitsTotal, 'commit')} since ${result.base?.slice(0, 12) ?? 'the beginning'}`);
  for (const { id, subject } of result.commits.slice(0, 50))
    say(`  ${id.slice(0, 12)} ${sanitizeLine(subject)}`);
  if (result.changesTotal > 0) {
    say(`${plural(result.changesTotal, 'uncommitted change')}`);
    for (const { status, path } of result.changes.slice(0, 50))
      say(`  ${sanitizeLine(status).padEnd(2)} ${sanitizeLine(path)}`);
  }
  if (result.text) print(sanitize(result.text));
}
