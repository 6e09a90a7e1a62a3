// `rm`: ends the machine and deletes the disk, after making sure that no work is lost with it.

import { rename, rm } from 'node:fs/promises';
import { temporaryBeside } from '../host/atomic-file.ts';
import { machineRuntimeFolder } from '../host/layout.ts';
import { WarrenError } from '../protocol/error.ts';
import { archive } from './archive.ts';
import type { Conductor } from './conductor.ts';
import { guestStatus } from './guest-git.ts';
import type { Sandbox } from './sandboxes.ts';

export async function remove(
  conductor: Conductor,
  sandbox: Sandbox,
  options: { force: boolean },
): Promise<void> {
  if (!options.force) await refuseLoss(conductor, sandbox);
  await conductor.update(sandbox, { state: 'removing' }, 'removing', { force: options.force });
  const { machine } = sandbox;
  sandbox.machine = null;
  await conductor.doors.close(sandbox.record.id);
  await machine?.kill();
  const { template } = sandbox.record;
  await conductor.templates.get(template).then(
    (found) => conductor.templates.markUsed(found),
    () => {},
  );
  await erase(conductor, sandbox);
}

/** The files of a sandbox whose machine is gone. The rename makes it vanish at once, whatever comes after. */
export async function erase(conductor: Conductor, sandbox: Sandbox): Promise<void> {
  const { folder } = conductor.files(sandbox);
  // What is not kept is missed later, and said so; a sandbox that cannot be removed is worse.
  await archive(conductor.rooms.layout, sandbox.record).catch((error: Error) =>
    console.error(`cannot keep the audit of sandbox ${sandbox.record.name}: ${error.message}`),
  );
  const gone = temporaryBeside(folder);
  await rename(folder, gone);
  conductor.forget(sandbox);
  await rm(gone, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  await rm(machineRuntimeFolder(conductor.rooms.layout, sandbox.record.id), { recursive: true, force: true });
}

interface Left {
  head: string | null;
  commits: number;
  changes: number;
  names: string[];
}

async function refuseLoss(conductor: Conductor, sandbox: Sandbox): Promise<void> {
  const { name, repository, state } = sandbox.record;
  if (!repository || state === 'creating' || state === 'removing') return;
  const left = await whatWouldBeLost(conductor, sandbox);
  if ('unknown' in left) {
    const look = state === 'running' ? `warren diff ${name}` : `warren start ${name} && warren diff ${name}`;
    throw new WarrenError({
      code: 'sandbox.unknown-work',
      message: `cannot remove sandbox "${name}": whether it holds unfetched work is not known: ${left.unknown}`,
      remedy: `look first: ${look}; or give it up: warren rm ${name} --force`,
    });
  }
  if (left.commits === 0 && left.changes === 0) return;
  const parts = [
    ...(left.commits > 0 ? [`${left.commits} unfetched commit${left.commits === 1 ? '' : 's'}`] : []),
    ...(left.changes > 0 ? [`${left.changes} uncommitted change${left.changes === 1 ? '' : 's'}`] : []),
  ];
  throw new WarrenError({
    code: 'sandbox.unfetched-work',
    message: `cannot remove sandbox "${name}": it holds ${parts.join(' and ')}${left.names.length > 0 ? ` (${left.names.join(', ')})` : ''}`,
    remedy: `bring it home: warren merge ${name}${left.changes > 0 ? ' --commit -m MESSAGE' : ''}; or give it up: warren rm ${name} --force`,
    details: { commits: left.commits, changes: left.changes },
  });
}

const NAMED_AT_MOST = 5;

async function whatWouldBeLost(conductor: Conductor, sandbox: Sandbox): Promise<Left | { unknown: string }> {
  const { state, repository, handback, left, user } = sandbox.record;
  if (state === 'stopped' && left) return { ...left, names: [] };
  if (state !== 'running') return { unknown: `it is ${state}` };
  try {
    const link = await conductor.link(sandbox);
    const status = await guestStatus(
      link,
      { path: repository!.guestPath, user },
      handback?.tip ?? repository!.base,
      NAMED_AT_MOST,
    );
    const names = [
      ...status.commits.map(({ subject }) => JSON.stringify(subject.slice(0, 60))),
      ...status.changes.map(({ path }) => path.slice(0, 200)),
    ];
    return {
      head: status.head,
      commits: status.ahead,
      changes: status.changesTotal,
      names: names.slice(0, NAMED_AT_MOST),
    };
  } catch (error) {
    return { unknown: (error as Error).message };
  }
}
