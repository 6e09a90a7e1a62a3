// `stop`, `start`, `pause`, `resume`: repeating one succeeds with a notice.

import { tellSecretValues } from '../../client/secrets.ts';
import { withClient } from '../context.ts';
import { printError, say } from '../terminal.ts';

const DONE = { stop: 'stopped', start: 'running', pause: 'paused', resume: 'running' } as const;

export async function power(verb: keyof typeof DONE, names: string[]): Promise<number> {
  return await withClient(async (client) => {
    if (verb === 'start') await tellSecretValues(client.transport, process.env);
    let exitCode = 0;
    for (const name of names) {
      try {
        const changed = await client.power(name, verb);
        say(`sandbox "${name}" is ${changed ? '' : 'already '}${DONE[verb]}`);
      } catch (error) {
        exitCode = Math.max(exitCode, printError(error));
      }
    }
    return exitCode;
  });
}
