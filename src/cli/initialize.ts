// What a devcontainer.json wants of this computer, once whoever types said that it may: `initializeCommand` is run here,
// and what it would mount is copied in.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Client } from '../client/client.ts';
import { WarrenError } from '../protocol/error.ts';
import { sanitize, sanitizeLine } from '../protocol/sanitize.ts';
import type { HostCommand, InitializeDetails } from '../protocol/up.ts';
import { askKey } from './ask-key.ts';
import { say } from './terminal.ts';

const TEXT_MAX_CHARS = 100_000;

/** `wish`: true for --initialize, false for --no-initialize, undefined to ask on a terminal and else do without. */
export async function withInitialize<T>(
  client: Client,
  wish: boolean | undefined,
  up: (initialized: string | null) => Promise<T>,
): Promise<T> {
  try {
    return await up(wish === false ? 'skip' : null);
  } catch (error) {
    if (!(error instanceof WarrenError) || error.code !== 'environment.initialize') throw error;
    const details = error.details as unknown as InitializeDetails;
    if (!details.allowed && !(await mayRun(client, wish, details))) return await up('skip');
    await runHere(details);
    return await up(details.digest);
  }
}

async function mayRun(
  client: Client,
  wish: boolean | undefined,
  { command, text, files, binds, root, digest }: InitializeDetails,
): Promise<boolean> {
  if (wish === undefined) {
    if (command !== null) {
      say(`devcontainer.json wants this run on this computer, outside of any machine:`);
      say(sanitize(text, TEXT_MAX_CHARS).replace(/^/gm, '  '));
    }
    if (files.length > 0) say(`  it names ${files.map((file) => sanitizeLine(file)).join(', ')}`);
    for (const { source, target } of binds)
      say(
        `devcontainer.json wants ${sanitizeLine(source, 4096)} of this computer copied to ${sanitizeLine(target, 4096)}`,
      );
    if (!process.stdin.isTTY || !process.stdout.isTTY) {
      say('  that was not done: warren up --initialize does it, and remembers that it may');
      return false;
    }
    if ((await askKey('do it? y yes, n no: ', 'yn')) !== 'y') return false;
  }
  await client.allowInitialize({ root, digest });
  return true;
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
  // What it prints is no result of ours.
  const child = spawn(file!, args, { cwd, stdio: ['inherit', process.stderr, process.stderr] });
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    return code ?? signal ?? 'no code';
  } catch (error) {
    return (error as Error).message;
  }
}
