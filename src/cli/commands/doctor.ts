// `warren doctor`: exit 1 when something is missing without which no sandbox starts.

import { sanitizeLine } from '../../protocol/sanitize.ts';
import { withClient } from '../context.ts';
import { print, printJson } from '../terminal.ts';

const SIGNS = { ok: '✓', weaker: '!', missing: '✗' } as const;

export async function doctor(flags: { json?: boolean }): Promise<number> {
  const checks = await withClient((client) => client.doctor());
  if (flags.json) printJson(checks);
  else {
    for (const { name, state, says, remedy } of checks) {
      print(`${SIGNS[state]} ${`${name}:`.padEnd(17)} ${sanitizeLine(says)}`);
      if (remedy) print(`    try: ${remedy}`);
    }
  }
  return checks.some(({ state }) => state === 'missing') ? 1 : 0;
}
