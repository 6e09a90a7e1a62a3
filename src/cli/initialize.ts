// What a devcontainer.json wants of this computer, once whoever types said that it may: `initializeCommand` is run here,
// and what it would mount is copied in.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import type { Client } from '../client/client.ts';
import { WarrenError } from '../protocol/error.ts';
import { sanitize, sanitizeLine } from '../protocol/sanitize.ts';
import type { Bind, HostCommand, InitializeDetails } from '../protocol/up.ts';
import { askKey } from './ask-key.ts';
import { say } from './terminal.ts';

const SHOWN_MAX_CHARS = 4000;

/** `wish`: true for --initialize, false for --no-initialize, undefined to ask on a terminal and else do without. */
export async function withInitialize<T>(
  client: Pick<Client, 'allowInitialize'>,
  wish: boolean | undefined,
  up: (initialized: string | null) => Promise<T>,
): Promise<T> {
  try {
    return await up(wish === false ? 'skip' : null);
  } catch (error) {
    const details = wishesOf(error);
    if (!details.allowed && !(await mayRun(client, wish, details))) return await up('skip');
    await runHere(details);
    try {
      return await up(details.digest);
    } catch (after) {
      // What was run may have changed files that it names: that is what it was allowed to.
      const { digest, root, command, binds } = wishesOf(after);
      if (!isDeepStrictEqual([command, binds], [details.command, details.binds])) throw after;
      await client.allowInitialize({ root, digest });
      return await up(digest);
    }
  }
}

/** Throws what is another error. */
function wishesOf(error: unknown): InitializeDetails {
  if (!(error instanceof WarrenError) || error.code !== 'environment.initialize') throw error;
  return error.details as unknown as InitializeDetails;
}

async function mayRun(
  client: Pick<Client, 'allowInitialize'>,
  wish: boolean | undefined,
  { command, text, files, binds, root, digest }: InitializeDetails,
): Promise<boolean> {
  if (wish === undefined) {
    for (const line of consentText(command === null ? null : text, files, binds)) say(line);
    if (!process.stdin.isTTY || !process.stdout.isTTY) {
      say('  that was not done: warren up --initialize does it, and remembers that it may');
      return false;
    }
    if (text.length > SHOWN_MAX_CHARS) {
      say('  it is too long to be shown whole: read it, then say warren up --initialize or --no-initialize');
      return false;
    }
    if ((await askKey('do it? y yes, n no: ', 'yn')) !== 'y') return false;
  }
  await client.allowInitialize({ root, digest });
  return true;
}

/** Pure. All of it, for a yes is to all of it, and no line of it looks like one of ours. `text`: null for no command. */
export function consentText(text: string | null, files: readonly string[], binds: readonly Bind[]): string[] {
  const command =
    text === null
      ? []
      : [
          'devcontainer.json wants this run on this computer, outside of any machine:',
          ...sanitize(text, SHOWN_MAX_CHARS)
            .split('\n')
            .map((line) => `  | ${line}`),
          ...(files.length === 0
            ? []
            : [`  it names ${files.map((file) => sanitizeLine(file)).join(', ')}`.slice(0, SHOWN_MAX_CHARS)]),
        ];
  const shown = (path: string) => sanitizeLine(path, SHOWN_MAX_CHARS);
  return [
    ...command,
    ...binds.map(
      ({ source, target }) =>
        `devcontainer.json wants ${shown(source)} of this computer copied into the machine, to ${shown(target)}`,
    ),
  ];
}

/** A text is a line for a shell, a list a program with its words, an object several of them at the same time. */
async function runHere({ command, root }: InitializeDetails): Promise<void> {
  if (command === null) return;
  const isOne = typeof command === 'string' || Array.isArray(command);
  const all = isOne ? [command] : Object.values(command);
  const codes = await Promise.all(all.map(async (each) => await runOne(each, root)));
  const failed = codes.find((code) => code !== 0);
  if (failed === undefined) return;
  throw new WarrenError({
    code: 'environment.initialize-failed',
    message: `initializeCommand of devcontainer.json failed on this computer with ${failed}`,
    remedy: 'mend it, or do without: warren up --no-initialize',
  });
}

async function runOne(command: HostCommand, cwd: string): Promise<number | string> {
  const [file, ...args] = typeof command === 'string' ? ['/bin/sh', '-c', command] : command;
  try {
    // What it prints is no result of ours.
    const child = spawn(file!, args, { cwd, stdio: ['inherit', process.stderr, process.stderr] });
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    return code ?? signal ?? 'no code';
  } catch (error) {
    return (error as Error).message;
  }
}
