// What makes a restored machine itself: two machines of one template wake with the same memory, so before any
// session each gets new entropy, the time, a hostname and a machine-id (docs/CHANNEL.md, awaken).

import { randomBytes } from 'node:crypto';
import { WarrenError } from '../protocol/error.ts';
import type { Link } from './link/link.ts';

export interface Identity {
  /** A valid hostname. */
  hostname: string;
  /** 32 hex digits; stable over the life of a sandbox. */
  machineId: string;
}

const ENTROPY_BYTES = 64;

export async function awaken(link: Link, identity: Identity, timeoutMs: number): Promise<void> {
  const answer = await link.json<{ hostname?: unknown; machineId?: unknown }>('/warren/awaken', {
    method: 'POST',
    timeoutMs,
    body: {
      entropy: randomBytes(ENTROPY_BYTES).toString('base64'),
      timeUnixNs: String(BigInt(Date.now()) * 1_000_000n),
      ...identity,
    },
  });
  if (answer.hostname !== identity.hostname || answer.machineId !== identity.machineId) {
    throw new WarrenError({
      code: 'machine.not-awake',
      message: 'the agent did not acknowledge the identity of its machine',
    });
  }
}

export function newMachineId(): string {
  return randomBytes(16).toString('hex');
}
