// Repo in: the host packs the repository while the machine wakes, then the pack streams to the agent.

import { mkdir } from 'node:fs/promises';
import { type PackedRepository, packIn, type Repository } from '../repo/index.ts';
import type { Conductor, Sandbox } from './conductor.ts';
import type { OnProgress } from './rooms.ts';

const CLONE_TIMEOUT_MS = 30 * 60_000;

export type CarryPlan = PackedRepository;

export async function prepareCarry(
  conductor: Conductor,
  sandbox: Sandbox,
  repository: Repository,
  carry: string[],
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
    transferFolder: transfer,
    signal,
    onProgress,
  });
}

export async function carryIn(
  conductor: Conductor,
  sandbox: Sandbox,
  plan: CarryPlan,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<void> {
  onProgress({ step: 'carrying the repository in', total: plan.bytes });
  const machine = sandbox.machine!;
  const link = await machine.link();
  // The tree in the guest is the user's, whom the image names.
  const stream = plan.stream(sandbox.record.user);
  let done = 0;
  stream.on('data', (chunk: Buffer) => {
    done += chunk.length;
    onProgress({ step: 'carrying the repository in', done, total: plan.bytes });
  });
  try {
    const answer = await link.send('/warren/git/clone', {
      method: 'POST',
      payload: stream,
      timeoutMs: CLONE_TIMEOUT_MS,
      signal,
      headers: { 'content-type': 'application/x-tar' },
    });
    answer.body.resume();
    const { repository } = sandbox.record;
    const submodules = plan.manifest.repositories.slice(1).map(({ path, head }) => ({ path, base: head }));
    await conductor.update(sandbox, { repository: { ...repository!, submodules } });
  } finally {
    stream.destroy();
    await plan.dispose();
  }
}
