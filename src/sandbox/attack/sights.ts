// What is known of one attack when it is judged.

import type { AttackView } from '../../protocol/attack.ts';

/** What the programs are told. */
export interface AttackTarget {
  /** A listener on this computer's loopback that nothing allows, and the daemon's own. */
  canaryPort: number;
  ports: readonly number[];
  /** Of this computer, and of networks that no rule of the user's opens. */
  ownAddresses: readonly string[];
  privateAddresses: readonly string[];
  /** That no rule allows; none when the network is open to every name. */
  deniedName: string | null;
  secret: { variable: string; placeholder: string };
}

/** The host's own eyes, after the program has ended. */
export interface AttackSight {
  /** What the program printed; null when it printed no JSON object. */
  guest: Readonly<Record<string, unknown>> | null;
  /** Connections that reached the canary. */
  canaryHits: number;
  vmm: VmmSight;
  /** Whether the template's and the image's files are as they were. */
  templateUnchanged: boolean | null;
  /** How often each is in the VMM's memory; null when it may not be read. */
  memory: { value: number; placeholder: number } | null;
  /** How a call to the agent ended: null for an answer, `hung` when it did not. */
  call: { failed: string } | { hung: true } | null;
}

export interface VmmSight {
  /** False: it has ended. */
  alive: boolean;
  /** Why nothing of it can be seen. */
  blind: string | null;
  boxed: boolean;
  /** Options of it that would give a guest a network. */
  networkArgs: readonly string[];
  ownSpaces: boolean;
  /** Devices of its network namespace, with the packets that they have moved. */
  devices: readonly string[];
  capabilities: string;
  noNewPrivileges: boolean;
  seccompFilter: boolean;
  isRoot: boolean;
  /** Names at the root of its file system. */
  visible: readonly string[];
}

export type Judged = Pick<AttackView, 'outcome' | 'says'>;
