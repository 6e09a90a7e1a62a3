// Repo in: the host packs the repository while the machine wakes, then the pack streams to the agent.

import { mkdir } from 'node:fs/promises';
import type { Link } from '../machine/link/link.ts';
import { type PackedRepository, packIn, type Repository } from '../repo/index.ts';
import type { Conductor } from './conductor.ts';
import type { Prepared } from './prepare/preparation.ts';
import type { OnProgress } from './rooms.ts';
import type { Sandbox } from './sandboxes.ts';

const CLONE_TIMEOUT_MS = 30 * 60_000;

export type CarryPlan = PackedRepository;

/** `prepared`: what the machine holds already. */
export async function prepareCarry(
  conductor: Conductor,
  sandbox: Sandbox,
  {
    repository,
    carry,
    prepared,
  }: { repository: Repository; carry: string[]; prepared?: Prepared | undefined },
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<CarryPlan> {
  const { transfer } = conductor.files(sandbox);
  await mkdir(transfer, { recursive: true, mode: 0o700 });
  const { branch, guestPath } = sandbox.record.repository!;
  return await packIn(repository, {
    branch,
    guestPath,
    carry,
    ...(prepared && { known: new Map(prepared.repositories.map((each) => [each.path, each])) }),
    transferFolder: transfer,
    signal,
    onProgress,
  });
}

/** `clone`: nothing is there yet; `update`: a clone is. */
export async function carryIn(
  conductor: Conductor,
  sandbox: Sandbox,
  plan: CarryPlan,
  verb: 'clone' | 'update',
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<void> {
  try {
    const { user } = sandbox.record;
    await sendRepository(await sandbox.machine!.link(), plan, { user, verb }, onProgress, signal);
    const { repository } = sandbox.record;
    const submodules = plan.manifest.repositories.slice(1).map(({ path, head }) => ({ path, base: head }));
    await conductor.update(sandbox, { repository: { ...repository!, submodules } });
  } finally {
    await plan.dispose();
  }
}

/** `user`: whose the tree in the guest is. */
export async function sendRepository(
  link: Link,
  plan: CarryPlan,
  { user, verb }: { user: string; verb: 'clone' | 'update' },
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<void> {
  const step = 'carrying the repository in';
  onProgress({ step, total: plan.bytes });
  const stream = plan.stream(user);
  let done = 0;
  stream.on('data', (chunk: Buffer) => {
    done += chunk.length;
    onProgress({ step, done, total: plan.bytes });
  });
  await link.sendTar(`/warren/git/${verb}`, stream, { timeoutMs: CLONE_TIMEOUT_MS, signal });
}
