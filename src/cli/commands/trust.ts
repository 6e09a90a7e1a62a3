// `warren policy trust`: shows what a repository's `warren.json` asks for, and asks.

import * as calls from '../../client/policy.ts';
import { WarrenError } from '../../protocol/error.ts';
import { askKey } from '../ask-key.ts';
import { withClient } from '../context.ts';
import { isTerminal, printJson, say } from '../terminal.ts';
import { trustLines } from '../trust-lines.ts';

export async function trust(name: string, flags: { yes?: boolean; json?: boolean }): Promise<number> {
  return await withClient(async ({ transport }) => {
    const view = await calls.showTrust(transport, name);
    if (flags.json && !flags.yes) {
      printJson(view);
      return 0;
    }
    if (view.state === 'absent' || view.state === 'trusted') {
      say(view.state === 'absent' ? 'warren.json asks for no network' : 'warren.json is trusted as it is');
      return 0;
    }
    say(
      view.trusted === null
        ? 'warren.json asks for this network:'
        : 'warren.json has changed since it was trusted, and asks for this network:',
    );
    for (const line of trustLines(view)) say(line);
    if (!flags.yes && !isTerminal())
      throw new WarrenError({
        code: 'usage.no-terminal',
        message: 'cannot ask whether to trust it: this is not a terminal',
        remedy: `warren policy trust ${name} --yes`,
      });
    const yes = flags.yes || (await askKey('trust it? y yes, n no: ', 'yn')) === 'y';
    if (yes) await calls.giveTrust(transport, name, view.digest);
    say(yes ? 'trusted, as long as it stays as it is' : 'not trusted: only what was allowed before counts');
    return yes ? 0 : 1;
  });
}
