// What this room needs of the rest.

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { GuestPort } from '../protocol/forwards.ts';
import type { ForwardLimits } from './limits.ts';

export interface ForwardParts {
  /**
   * A byte stream to a port of the loopback of a running sandbox. Throws `sandbox.not-found`, `sandbox.wrong-state`,
   * `agent.unavailable` when nobody listens there, or any other WarrenError.
   */
  openPort(sandbox: string, port: number, signal: AbortSignal): Promise<Duplex>;
  /** What listens there: the guest's words. */
  listening(sandbox: string): Promise<GuestPort[]>;
  /** Whether a client's connection is one of this user's own programs. */
  isOwn(socket: Socket): Promise<boolean>;
  limits?: Partial<ForwardLimits>;
}
