// `RUN --mount=type=ssh` → the sockets of a step. Pure. Which agents there are, the user says; a key depends on none.

import type { RunStep } from '../../../environment/dockerfile/index.ts';
import { WarrenError } from '../../../protocol/error.ts';
import type { StepSocket } from '../workshop.ts';

/** By its id, as `RUN --mount=type=ssh,id=…` names it: the socket of an SSH agent on this computer. */
export type BuildSsh = ReadonlyMap<string, string>;

export interface SocketsPlan {
  sockets: StepSocket[];
  /** Whom each of them leads to. */
  agents: { id: string; path: string }[];
  /** What the step's programs find the first one by. */
  env: Record<string, string>;
}

/** As BuildKit has it: one that is not there is left out, unless the step requires it. Throws `build.no-ssh`. */
export function planSockets({ mounts, env }: Pick<RunStep, 'mounts' | 'env'>, ssh: BuildSsh): SocketsPlan {
  const plan: SocketsPlan = { sockets: [], agents: [], env: {} };
  const wanted = mounts.filter((mount) => mount.kind === 'ssh');
  for (const [nr, { id, target: said, required, mode, uid, gid }] of wanted.entries()) {
    const target = said ?? `/run/buildkit/ssh_agent.${nr}`;
    if (nr === 0 && !env.some(([name]) => name === 'SSH_AUTH_SOCK')) plan.env['SSH_AUTH_SOCK'] = target;
    const path = ssh.get(id);
    if (path === undefined && required) throw noAgent(id);
    if (path === undefined) continue;
    plan.sockets.push({ target, mode, uid, gid });
    plan.agents.push({ id, path });
  }
  return plan;
}

function noAgent(id: string): WarrenError {
  return new WarrenError({
    code: 'build.no-ssh',
    message: `the step needs the SSH agent "${id}"`,
    remedy: `--ssh ${id} for the agent of SSH_AUTH_SOCK, or --ssh ${id}=SOCKET; it may sign with all keys of it`,
  });
}
