// What the daemon and a door process say to each other, over the IPC channel of the child and nowhere else: secrets
// pass here. The door process is the child; it ends when the channel does.

import type { OwnRegistries } from '../cache/registries.ts';
import type { Ruleset } from '../policy/rule.ts';
import type { Protocol, Said } from '../policy/verdict.ts';
import type { SecretBinding } from '../secret/binding.ts';
import type { AuthorityPem } from '../tls/authority.ts';

/** Where downloads are kept for all sandboxes of this user. */
export interface DownloadSettings {
  folder: string;
  maxBytes: number;
  registries: OwnRegistries;
}

/** The first message. */
export interface DoorConfig {
  type: 'config';
  /** What the machine is called in words to a person: `warren policy allow NAME …`; null: nobody names it. */
  name: string | null;
  /** The unix socket of the machine's `egress` stream. */
  socket: string;
  /** Where its synthetic names are kept. */
  namesFile: string;
  auditFile: string;
  authority: AuthorityPem;
  rulesets: readonly Ruleset[];
  secrets: readonly SecretBinding[];
  /** PEM certificates that upstreams are verified with, besides the system's. */
  extraCa: readonly string[];
  /** `http://[user:password@]host:port`; null: straight out. */
  upstreamProxy: string | null;
  /** Of this computer's loopback, that no rule opens. */
  closedHostPorts: readonly number[];
  /** Null: every download is fetched. */
  downloads: DownloadSettings | null;
  /** It ends when nothing was asked of it for so long. */
  idleMs: number;
}

export type ToDoor =
  | DoorConfig
  | { type: 'policy'; rulesets: readonly Ruleset[] }
  /** From now on these, and no other value is sent. */
  | { type: 'secrets'; secrets: readonly SecretBinding[] }
  | { type: 'answer'; id: number; yes: Said };

export type FromDoor =
  /** Attached: what waits in the guest is served from now on. */
  | { type: 'ready' }
  | { type: 'ask'; id: number; host: string; port: number; protocol: Protocol; reason: string };
