// `warren shell`: the user's login shell in the guest, on this terminal.

import type { SessionSpec } from '../../client/session.ts';
import type { SandboxDetail } from '../../protocol/api.ts';
import { WarrenError } from '../../protocol/error.ts';
import { ShellQuestions } from '../asking.ts';
import { reattach, runAttached } from '../attach-session.ts';
import { withClient } from '../context.ts';
import { terminalEnvironment, terminalSize } from '../pty.ts';

/** bash, or what the image gives its user. */
const LOGIN_SHELL = 'if [ -x /bin/bash ]; then exec /bin/bash -i -l; else exec "$SHELL" -i -l; fi';

export async function shell(name: string, flags: { user?: string; session?: number }): Promise<number> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new WarrenError({
      code: 'usage.no-terminal',
      message: 'cannot open a shell: this is not a terminal',
      remedy: `warren exec ${name} -- COMMAND`,
    });
  }
  return await withClient(async (client) => {
    const sandbox = await client.show(name);
    const spec = shellSpec(sandbox, flags.user);
    const asked = new ShellQuestions(client.transport, name);
    const keys = (byte: number) => asked.key(byte);
    try {
      const { exitCode } =
        flags.session === undefined
          ? await runAttached(client.transport, name, spec, keys)
          : await reattach(client.transport, name, flags.session, spec, keys);
      return exitCode;
    } finally {
      asked.close();
    }
  });
}

/** What its environment wants done first is done first, and its failure does not keep the shell away. */
export function shellSpec(
  sandbox: Pick<SandboxDetail, 'workdir' | 'user' | 'attach'>,
  user?: string,
): SessionSpec {
  return {
    command: '/bin/sh',
    args: ['-c', sandbox.attach === null ? LOGIN_SHELL : `${sandbox.attach}\n${LOGIN_SHELL}`],
    cwd: sandbox.workdir,
    user: user ?? sandbox.user,
    pty: terminalSize(),
    stdin: true,
    env: terminalEnvironment(),
  };
}
