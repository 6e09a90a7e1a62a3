// What the door writes down: one event per DNS question, flow and request. Times and counts come from the host;
// what the guest claims is marked so.

import type { Protocol } from '../policy/verdict.ts';

export interface GuestClaim {
  /** Told by the agent, never used for a decision. */
  pid?: number;
  uid?: number;
  comm?: string;
  cmdline?: string;
}

interface Common {
  /** Of the flow; a DNS question has none. */
  flow: number | null;
  host: string;
  port: number | null;
  decision: 'allow' | 'deny' | 'ask';
  ruleId: string | null;
  reason: string | null;
}

export interface DnsEvent extends Common {
  kind: 'dns';
  type: string;
  answer: string;
}

export interface FlowEvent extends Common {
  kind: 'flow';
  /** Written before a byte goes out; what came of it follows in a second record, unless the door died. */
  begun?: true;
  protocol: Protocol | null;
  upstream: string | null;
  bytesUp: number;
  bytesDown: number;
  durationMs: number;
  guest: GuestClaim | null;
}

export interface RequestEvent extends Common {
  kind: 'request';
  /** As of a flow. */
  begun?: true;
  /** Which of its flow, from 1; both records of a request have the same. */
  request?: number;
  protocol: 'http' | 'https';
  method: string;
  /** Without its query. */
  path: string;
  status: number | null;
  /** Answered from what is kept on this host: nothing went out. */
  cached?: true;
  /** Its head too. */
  bytesUp: number;
  bytesDown: number;
  durationMs: number;
  /** Names of the secrets that were put in. */
  secrets: readonly string[];
}

/** What is not a flow: a policy that was refused, a misused placeholder, a limit that was hit. */
export interface NoticeEvent extends Common {
  kind: 'notice';
  code: string;
  /** Of records that are not kept: what was let through of them. */
  forgotten?: {
    first: number;
    last: number;
    denied: number;
    /** How often something was let through to hosts that are not named. */
    others: number;
    through: readonly Through[];
  };
}

export type Through = readonly [host: string, port: number | null, times: number, bytesUp: number];

export type AuditEvent = DnsEvent | FlowEvent | RequestEvent | NoticeEvent;

const MAX_PATH_CHARS = 1024;

/**
 * A path as it is written down: what is not printable takes six characters there. Whoever wants older records to be
 * forgotten sends many long ones.
 */
export function writtenPath(path: string): string {
  const room = /^[\x20-\x7e]*$/.test(path) ? MAX_PATH_CHARS : Math.floor(MAX_PATH_CHARS / 6);
  return path.length > room ? `${path.slice(0, room)}[cut]` : path;
}

export interface Audit {
  /** Resolves once the event is in the kernel's hands. When it rejects, what asked for it must be denied. */
  write(event: AuditEvent): Promise<void>;
}
