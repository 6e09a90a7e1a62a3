// Takes commits of a guest home. Every byte of the pack is hostile: it is judged in quarantine, and only what
// passed goes on, into one ref under refs/warren/ whose name we built. The user's branches, HEAD, index,
// working tree and configuration stay as they are; that is `merge`'s business.

import type { Readable } from 'node:stream';
import { limits as defaults } from '../protocol/limits.ts';
import { startDeadline } from './deadline.ts';
import { git, gitSealed, hardened, isCommandFailure, stderrOf } from './git.ts';
import { fromGit, interrupted, rejected } from './handback-error.ts';
import { type HandbackLimits, type Inspection, inspect } from './inspect.ts';
import { limitBytes } from './limit-bytes.ts';
import type { Repository } from './open.ts';
import { makeQuarantine, type Quarantine } from './quarantine.ts';
import { handbackRef, isObjectId } from './ref-name.ts';

export interface ReceiveOptions {
  sandbox: string;
  branch: string;
  /** The commit that the guest says its branch is at. */
  tip: string;
  /** Where the sandbox started; null when there was no commit yet. */
  base: string | null;
  /** Null when the guest had nothing new: `tip` is here already. */
  pack: Readable | null;
  quarantineFolder: string;
  limits?: Partial<HandbackLimits>;
  signal?: AbortSignal;
}

export interface Handback extends Inspection {
  ref: string;
  tip: string;
}

export async function receive(repository: Repository, options: ReceiveOptions): Promise<Handback> {
  const { tip, base, pack } = options;
  const bounds = withDefaults(options.limits);
  const deadline = startDeadline(options.signal, bounds.timeoutMs);
  const { signal } = deadline;
  try {
    const ref = handbackRef(options.sandbox, options.branch);
    for (const id of base === null ? [tip] : [tip, base]) {
      if (!isObjectId(id, repository.objectFormat))
        throw rejected(`"${id.slice(0, 80)}" is not an object id`);
    }
    const quarantine = await makeQuarantine(repository, options.quarantineFolder);
    try {
      if (pack) await unpack(quarantine, pack, bounds, signal);
      const inspection = await inspect(repository, quarantine.gitDir, { tip, base, bounds, signal });
      await bringHome(repository, quarantine, { ref, tip, signal });
      return { ref, tip, ...inspection };
    } finally {
      await quarantine.remove();
    }
  } catch (error) {
    throw deadline.passed() ? interrupted(`it took longer than ${bounds.timeoutMs} ms`, error) : error;
  } finally {
    deadline.clear();
    pack?.destroy();
  }
}

async function unpack(
  quarantine: Quarantine,
  pack: Readable,
  bounds: HandbackLimits,
  signal: AbortSignal,
): Promise<void> {
  // What git only notes about a tree, but what a checkout would trip over.
  const strict = ['gitmodulesSymlink', 'gitattributesSymlink', 'gitignoreSymlink', 'mailmapSymlink'];
  const args = [
    'index-pack',
    `--strict=${strict.map((id) => `${id}=error`).join(',')}`,
    '--fix-thin',
    '--stdin',
    `--max-input-size=${bounds.packBytes}`,
  ];
  const input = limitBytes(pack, bounds.packBytes);
  try {
    await gitSealed(quarantine.gitDir, args, { input, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw fromGit(error, bounds.packBytes);
  }
}

/** The only step that writes to the user's repository: objects, then one ref. */
async function bringHome(
  repository: Repository,
  quarantine: Quarantine,
  options: { ref: string; tip: string; signal: AbortSignal },
): Promise<void> {
  const { ref, tip, signal } = options;
  const here = await quarantine.point(tip);
  const quiet = [
    '--quiet',
    '--no-tags',
    '--no-write-fetch-head',
    '--no-recurse-submodules',
    '--no-auto-maintenance',
  ];
  const exact = ['--no-prune', '--no-prune-tags', '--refmap=', '--force', '--no-show-forced-updates'];
  const settings = [...hardened, '-c', 'fetch.writeCommitGraph=false', '-c', 'core.logAllRefUpdates=false'];
  try {
    const args = [...settings, 'fetch', ...quiet, ...exact, '--', quarantine.gitDir, `+${here}:${ref}`];
    await git(repository.root, args, { signal });
  } catch (error) {
    if (!isCommandFailure(error) || signal.aborted) throw error;
    throw rejected(`git could not store it: ${stderrOf(error)}`, error);
  }
}

function withDefaults(given: Partial<HandbackLimits> = {}): HandbackLimits {
  return {
    packBytes: defaults.handbackPackBytes,
    inflatedBytes: defaults.handbackInflatedBytes,
    blobBytes: defaults.handbackBlobBytes,
    objects: defaults.handbackObjects,
    commits: defaults.handbackCommits,
    pathBytes: defaults.handbackPathBytes,
    timeoutMs: defaults.handbackTimeoutMs,
    ...given,
  };
}
