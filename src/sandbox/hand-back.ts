// `diff`, `fetch` and `merge`: the second walk. The agent packs what is new; the repo room receives it in
// quarantine; only then does the user's repository learn a ref.

import { join } from 'node:path';
import type { Link } from '../machine/link/link.ts';
import { runInGuest } from '../machine/run-in-guest.ts';
import type { DiffResult, FetchResult, MergeRequest, MergeResult } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';
import { merge, openRepository, receive } from '../repo/index.ts';
import type { Conductor } from './conductor.ts';
import { guestCommit, guestStatus } from './guest-git.ts';
import { policyOf } from './network/policy.ts';
import { noteMerge, writeNote } from './note.ts';
import type { OnProgress } from './rooms.ts';
import type { Sandbox } from './sandboxes.ts';

const DIFF_LINES_MAX_BYTES = 4 * 1024 * 1024;

function repositoryOf(sandbox: Sandbox) {
  const { repository, name, user } = sandbox.record;
  if (!repository) {
    throw new WarrenError({
      code: 'sandbox.no-repository',
      message: `sandbox "${name}" has no repository: it was made with --no-repo`,
      remedy: `copy files out with: warren cp ${name}:PATH .`,
    });
  }
  return { ...repository, guest: { path: repository.guestPath, user } };
}

/** What `merge` would bring, and what it would leave behind. `stat`: a summary instead of the patch. */
export async function diff(
  conductor: Conductor,
  sandbox: Sandbox,
  options: { stat: boolean },
): Promise<DiffResult> {
  const { guest, base } = repositoryOf(sandbox);
  const link = await conductor.link(sandbox);
  const status = await guestStatus(link, guest, base);
  const args = [
    'diff',
    '--no-color',
    '--no-ext-diff',
    '--no-textconv',
    ...(options.stat ? ['--stat'] : []),
    ...(base ? [base] : []),
    '--',
  ];
  const { stdout } = await runInGuest(link, 'git', args, {
    user: guest.user,
    cwd: guest.path,
    timeoutMs: 120_000,
  });
  return {
    branch: status.branch,
    head: status.head,
    base,
    commits: status.commits,
    commitsTotal: status.ahead,
    changes: status.changes,
    changesTotal: status.changesTotal,
    text: stdout.subarray(0, DIFF_LINES_MAX_BYTES).toString('utf8'),
  };
}

export async function fetchBack(
  conductor: Conductor,
  sandbox: Sandbox,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<FetchResult> {
  const { root, base } = repositoryOf(sandbox);
  const since = sandbox.record.handback?.tip ?? base;
  const link = await conductor.link(sandbox);
  onProgress({ step: 'asking the guest' });
  // It looks for changes while it packs: in an emulated machine each takes its time.
  const asking = statusWithCommits(link, sandbox);
  const stop = new AbortController();
  asking.catch(() => stop.abort());
  const either = AbortSignal.any([signal, stop.signal]);
  const { back, received } = await receiveAll(conductor, sandbox, onProgress, either).catch(
    async (error: unknown) => {
      if (!signal.aborted) await asking;
      throw error;
    },
  );
  const status = await asking;
  await conductor.update(
    sandbox,
    { handback: { ref: back.ref, tip: back.tip, at: new Date().toISOString() } },
    'fetched',
    { ref: back.ref, tip: back.tip, commits: back.commits },
  );
  if (back.commits > 0) await writeNote(conductor, sandbox, { root, tip: back.tip, base, since });
  return {
    ref: back.ref,
    tip: back.tip,
    commits: back.commits,
    descends: back.descends,
    risks: back.risks,
    uncommitted: status.changes,
    uncommittedTotal: status.changesTotal,
    submodules: received,
  };
}

async function statusWithCommits(link: Link, sandbox: Sandbox) {
  const { guest, base } = repositoryOf(sandbox);
  const status = await guestStatus(link, guest, base);
  if (status.head !== null) return status;
  throw new WarrenError({
    code: 'sandbox.no-commits',
    message: `sandbox "${sandbox.record.name}" has no commits to fetch`,
    remedy: `commit in it first, or: warren merge ${sandbox.record.name} --commit -m MESSAGE`,
  });
}

/** Submodules first: what names a commit comes after it. */
async function receiveAll(
  conductor: Conductor,
  sandbox: Sandbox,
  onProgress: OnProgress,
  signal: AbortSignal,
) {
  const { guest, base, root, branch, submodules } = repositoryOf(sandbox);
  const received: FetchResult['submodules'] = [];
  for (const submodule of submodules) {
    const path = `${guest.path}/${submodule.path}`;
    const from = { root: join(root, submodule.path), path, ref: 'HEAD', base: submodule.base };
    const { ref, tip, commits } = await receiveOne(conductor, sandbox, from, onProgress, signal);
    if (tip !== submodule.base) received.push({ path: submodule.path, ref, tip, commits });
  }
  const from = { root, path: guest.path, ref: branch, base };
  return { back: await receiveOne(conductor, sandbox, from, onProgress, signal), received };
}

async function receiveOne(
  conductor: Conductor,
  sandbox: Sandbox,
  from: { root: string; path: string; ref: string; base: string | null },
  onProgress: OnProgress,
  signal: AbortSignal,
) {
  const { name, user, handback } = sandbox.record;
  const opening = openRepository(from.root);
  opening.catch(() => {});
  const link = await conductor.link(sandbox);
  const have = [from.base, handback?.tip].filter((id): id is string => typeof id === 'string');
  const answer = await link.send('/warren/git/pack', {
    method: 'POST',
    timeoutMs: limits.handbackTimeoutMs,
    signal,
    headers: { 'content-type': 'application/json' },
    payload: Buffer.from(JSON.stringify({ path: from.path, user, ref: from.ref, have })),
  });
  const tip = answer.headers['warren-tip'];
  if (typeof tip !== 'string' || !/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(tip)) {
    answer.body.destroy();
    throw new WarrenError({ code: 'machine.agent-garbage', message: 'the agent named no commit to fetch' });
  }
  if (answer.status === 204) answer.body.resume();
  let done = 0;
  answer.body.on('data', (chunk: Buffer) => {
    done += chunk.length;
    onProgress({ step: 'receiving commits', done });
  });
  answer.body.pause();
  const repository = await opening.catch((error: unknown) => {
    answer.body.destroy();
    throw error;
  });
  return await receive(repository, {
    sandbox: name,
    branch: `warren/${name}`,
    tip,
    base: from.base,
    pack: answer.status === 204 ? null : answer.body,
    quarantineFolder: conductor.files(sandbox).quarantine,
    signal,
  });
}

export async function mergeBack(
  conductor: Conductor,
  sandbox: Sandbox,
  request: MergeRequest,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<MergeResult> {
  const { guest, root } = repositoryOf(sandbox);
  const { name } = sandbox.record;
  if (request.commit) {
    onProgress({ step: 'committing in the guest' });
    await guestCommit(await conductor.link(sandbox), guest, request.message ?? `Work of sandbox ${name}`);
  }
  const fetch = await fetchBack(conductor, sandbox, onProgress, signal);
  if (!fetch.descends && !request.allowRewritten) {
    throw new WarrenError({
      code: 'repo.history-rewritten',
      message: `sandbox "${name}" rewrote its history: ${fetch.tip.slice(0, 12)} does not contain the commit that it started from`,
      remedy: `look at it (git log ${fetch.ref}), then: warren merge ${name} --allow-rewritten`,
    });
  }
  const repository = await openRepository(root);
  const into = repository.branch ?? 'HEAD (detached)';
  const result = await merge(repository, {
    tip: fetch.tip,
    sandbox: name,
    mode: request.squash ? 'squash' : 'auto',
    ...(request.message !== null && { message: request.message }),
    signal,
  });
  await conductor.journal(sandbox, 'merged', { kind: result.kind, tip: fetch.tip, into });
  if (result.kind === 'merged' || result.kind === 'squashed')
    await noteMerge(conductor, sandbox, { root, tip: fetch.tip, commit: result.commit! });
  // A policy that came home counts where it takes away, and waits for trust where it adds.
  await conductor.doors.policyChanged(({ record }) => record.repository?.root === root).catch(() => {});
  const policy = await policyOf(conductor.rooms.layout, sandbox.record).catch(() => null);
  return {
    trust: policy?.trust ?? null,
    fetch,
    merge: { kind: result.kind, commit: result.commit ?? null, conflicts: result.conflicts ?? [], into },
  };
}
