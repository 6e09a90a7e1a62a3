// `warren exec`: one command in a running sandbox; its exit code is ours.

import type { SessionSpec } from '../../client/session.ts';
import { WarrenError } from '../../protocol/error.ts';
import { runAttached } from '../attach-session.ts';
import { withClient } from '../context.ts';
import { terminalEnvironment, terminalSize } from '../pty.ts';

interface ExecFlags {
  interactive?: boolean;
  tty?: boolean;
  user?: string;
  cwd?: string;
  environment: string[];
}

export async function exec(name: string, words: string[], flags: ExecFlags): Promise<number> {
  if (flags.tty && !process.stdin.isTTY) {
    throw new WarrenError({
      code: 'usage.no-terminal',
      message: 'cannot give the command a terminal: standard input is not one',
      remedy: 'leave -t out',
    });
  }
  return await withClient(async (client) => {
    // Where it starts and as whom is the agent's default: the sandbox's user, in its workdir.
    const spec = commandSpec(words, flags);
    const sandbox = spec.cwd === undefined ? await client.show(name) : undefined;
    const { exitCode } = await runAttached(client.transport, name, {
      ...spec,
      ...(sandbox && { cwd: sandbox.workdir, user: spec.user ?? sandbox.user }),
    });
    return exitCode;
  });
}

export function commandSpec(words: string[], flags: ExecFlags): SessionSpec {
  // What follows the first word is passed through whole, the dashes that separate it included.
  const [command, ...args] = words[0] === '--' ? words.slice(1) : words;
  if (command === undefined)
    throw new WarrenError({
      code: 'usage.no-command',
      message: 'no command was given',
      remedy: 'warren exec NAME -- COMMAND',
    });
  const env = { ...(flags.tty && terminalEnvironment()), ...parseVariables(flags.environment) };
  return {
    command,
    args,
    env,
    stdin: flags.interactive === true,
    ...(flags.tty && { pty: terminalSize() }),
    ...(flags.user !== undefined && { user: flags.user }),
    ...(flags.cwd !== undefined && { cwd: flags.cwd }),
  };
}

function parseVariables(pairs: string[]): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const pair of pairs) {
    const match = /^([A-Za-z_][A-Za-z0-9_]*)(?:=(.*))?$/s.exec(pair);
    if (!match) {
      throw new WarrenError({
        code: 'usage.variable',
        message: `cannot set ${JSON.stringify(pair)}: it is not KEY=VALUE`,
        remedy: '-e KEY=VALUE, or -e KEY for the value of this shell',
      });
    }
    variables[match[1]!] = match[2] ?? process.env[match[1]!] ?? '';
  }
  return variables;
}
