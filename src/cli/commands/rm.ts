// `warren rm`: each name by itself; one that is refused does not keep the others.

import { withClient } from '../context.ts';
import { printError, say } from '../terminal.ts';

export async function rm(names: string[], flags: { force?: boolean }): Promise<number> {
  return await withClient(async (client) => {
    let exitCode = 0;
    for (const name of names) {
      try {
        await client.remove(name, { force: flags.force === true });
        say(`removed sandbox "${name}"`);
      } catch (error) {
        exitCode = Math.max(exitCode, printError(error));
      }
    }
    return exitCode;
  });
}
