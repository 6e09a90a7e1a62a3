// `warren run`: a fresh sandbox for one command. With --rm it goes afterwards, unless work would be lost.

import { resolve } from 'node:path';
import { tellSecretValues } from '../../client/secrets.ts';
import { WarrenError } from '../../protocol/error.ts';
import { runAttached } from '../attach-session.ts';
import { type BuildFlags, buildWish } from '../build-flags.ts';
import { withClient, withProgress } from '../context.ts';
import { withInitialize } from '../initialize.ts';
import { say } from '../terminal.ts';
import { commandSpec } from './exec.ts';
import { type NetworkFlag, type SizeFlags, sizeRequest } from './up.ts';

interface RunFlags extends SizeFlags, NetworkFlag, BuildFlags {
  name?: string;
  rm?: boolean;
  repo: boolean;
  user?: string;
  environment: string[];
}

export async function run(words: string[], flags: RunFlags): Promise<number> {
  return await withClient(async (client) => {
    await tellSecretValues(client.transport, process.env);
    const request = {
      name: flags.name ?? null,
      path: flags.repo ? resolve('.') : null,
      fresh: true,
      network: flags.network ?? null,
      build: buildWish(flags),
      ...sizeRequest(flags),
    };
    const { sandbox } = await withInitialize(client, flags.initialize, (initialized) =>
      withProgress((options) => client.up({ ...request, initialized }, options), flags.progress, client),
    );
    const tty = process.stdin.isTTY === true && process.stdout.isTTY === true;
    const spec = commandSpec(words, { interactive: true, tty, environment: flags.environment });
    try {
      const ended = await runAttached(client.transport, sandbox.name, {
        ...spec,
        cwd: sandbox.workdir,
        user: flags.user ?? sandbox.user,
      });
      if (ended.detached) return ended.exitCode;
      if (flags.rm)
        await removeUnlessLost(client.remove.bind(client), sandbox.name, sandbox.repository !== null);
      return ended.exitCode;
    } catch (error) {
      if (flags.rm)
        await removeUnlessLost(client.remove.bind(client), sandbox.name, sandbox.repository !== null).catch(
          () => {},
        );
      throw error;
    }
  });
}

async function removeUnlessLost(
  remove: (name: string, options: { force: boolean }) => Promise<void>,
  name: string,
  hasRepository: boolean,
): Promise<void> {
  try {
    await remove(name, { force: !hasRepository });
  } catch (error) {
    const { code, message, remedy } = WarrenError.from(error);
    if (code !== 'sandbox.unfetched-work' && code !== 'sandbox.unknown-work') throw error;
    say(`kept sandbox "${name}": ${message}`);
    if (remedy) say(`  try: ${remedy}`);
  }
}
