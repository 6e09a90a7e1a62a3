// Runs every git of the host. Two kinds: `git` works in the user's own repository, with the user's identity
// and filters; `gitSealed` works in a folder that we made, where objects may come from a guest, and reads
// no configuration but ours. Neither asks a question, reaches the network or inherits a GIT_ variable.

import { availableParallelism } from 'node:os';
import { type RunOptions, type RunResult, run } from '../host/run.ts';
import { WarrenError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';

export interface GitOptions extends Omit<RunOptions, 'cwd' | 'env'> {
  env?: Record<string, string>;
}

const always = {
  LC_ALL: 'C',
  GIT_TERMINAL_PROMPT: '0',
  GIT_ASKPASS: 'true',
  GIT_EDITOR: 'true',
  GIT_MERGE_AUTOEDIT: 'no',
  GIT_OPTIONAL_LOCKS: '0',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_NO_LAZY_FETCH: '1',
  GIT_ALLOW_PROTOCOL: 'file',
  GIT_LITERAL_PATHSPECS: '1',
  // A pointer stays a pointer: what git-lfs would download, and from where, a guest's .lfsconfig can say.
  GIT_LFS_SKIP_SMUDGE: '1',
} as const;

/** What the user's own git needs to find the user's configuration, identity and filters. */
const kept = ['HOME', 'XDG_CONFIG_HOME', 'PATH', 'USER', 'LOGNAME', 'TMPDIR'] as const;

/** For commands that touch objects of a guest in the user's repository: no hook, no monitor, no network. */
export const hardened: readonly string[] = [
  ...['-c', 'core.hooksPath=/dev/null'],
  ...['-c', 'core.fsmonitor=false'],
  ...['-c', 'protocol.allow=never'],
  ...['-c', 'protocol.file.allow=always'],
  ...['-c', 'credential.helper='],
  ...['-c', 'gc.auto=0'],
  ...['-c', 'maintenance.auto=false'],
  ...['-c', 'submodule.recurse=false'],
  ...['-c', 'safe.bareRepository=explicit'],
];

/** Runs git in the user's working tree at `root`. */
export function git(root: string, args: readonly string[], options: GitOptions = {}): Promise<RunResult> {
  const { env, ...rest } = options;
  return run('git', ['-C', root, ...args], { ...rest, env: { ...userEnvironment(), ...env } });
}

/** Runs git on the repository `gitDir`, which we made: see the head of this file. */
export function gitSealed(
  gitDir: string,
  args: readonly string[],
  options: GitOptions = {},
): Promise<RunResult> {
  const { env, ...rest } = options;
  return run('git', [...hardened, ...args], {
    ...rest,
    cwd: gitDir,
    env: {
      ...always,
      PATH: process.env.PATH,
      HOME: gitDir,
      GIT_DIR: gitDir,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_ATTR_NOSYSTEM: '1',
      // A tiny delta can say that it makes terabytes: git gives up before it asks for the memory.
      GIT_ALLOC_LIMIT: String(limits.handbackBlobBytes + 64 * 1024 * 1024),
      ...env,
    },
  });
}

/** Standard output as text without its final newline (a path may hold newlines of its own). */
export async function gitLine(
  root: string,
  args: readonly string[],
  options: GitOptions = {},
): Promise<string> {
  return firstLine(await git(root, args, options));
}

/** Like `gitLine`, or null when git answers with exit code 1. */
export async function gitLineOrNull(
  root: string,
  args: readonly string[],
  options: GitOptions = {},
): Promise<string | null> {
  const result = await git(root, args, { ...options, okCodes: [0, 1] });
  return result.code === 0 ? firstLine(result) : null;
}

/** Standard error of a failed command, or the message of any other error. */
export function stderrOf(error: unknown): string {
  if (error instanceof WarrenError && typeof error.details?.stderr === 'string') {
    return error.details.stderr.trim() || error.message;
  }
  return error instanceof Error ? error.message : String(error);
}

export function isCommandFailure(error: unknown): error is WarrenError {
  return error instanceof WarrenError && error.code === 'host.command-failed';
}

/** Threads for packing: all but one, so that the rest of the product stays awake. */
export const packThreads = () => Math.max(1, Math.min(8, availableParallelism() - 1));

function userEnvironment(): Record<string, string> {
  const env: Record<string, string> = { ...always };
  for (const name of kept) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

function firstLine(result: RunResult): string {
  return result.stdout.toString('utf8').replace(/\n$/, '');
}
