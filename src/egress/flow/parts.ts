// What a door is made of: everything that the pipeline asks of the rest, as small interfaces, and its limits.

import type { Socket } from 'node:net';
import type { Audit } from '../audit/event.ts';
import type { DownloadCache } from '../http/downloads.ts';
import type { DnsAnswer, DnsQuestion } from '../names/synthetic.ts';
import type { RuledPolicy } from '../policy/judge.ts';
import type { Asked, Denied, Protocol, Said, Target } from '../policy/verdict.ts';
import type { Authority } from '../tls/authority.ts';
import type { Reading } from './pieces.ts';
import type { Secrets } from './secrets.ts';
import type { UpstreamProxy } from './upstream-proxy.ts';

export type DoorPolicy = Pick<
  RuledPolicy,
  'judgeFlow' | 'judgeConnection' | 'judgeRequest' | 'judgeAddress' | 'deniesName'
>;

export interface Question {
  target: Target;
  protocol: Protocol;
  /** For the person, safe to print. */
  reason: string;
}

export interface DoorParts {
  /** The rules in force; asked anew for each flow and request. */
  policy(): DoorPolicy;
  names: { nameOf(address: string): string | null; answer(question: DnsQuestion): DnsAnswer };
  audit: Audit;
  authority: Authority;
  /** All addresses of a name. Called at most once per dial; what it answers is hostile. */
  resolve(name: string): Promise<readonly string[]>;
  /** Of this host's interfaces, now. */
  ownAddresses(): readonly string[];
  /**
   * A new connection to a vetted literal address; it may still be connecting (`connect` or `error` follows). With
   * `reading`, what it reads goes there.
   */
  connect(address: string, port: number, reading?: Reading): Socket;
  /** Of this computer's loopback, that no rule opens. */
  closedHostPorts?: readonly number[];
  /** Through which everything goes out but services of this host; names are resolved there, and not here. */
  upstreamProxy?: UpstreamProxy;
  /**
   * Only `true` lets the flow through. Without it, whatever would be asked is denied. Once `over` is aborted, an answer comes
   * too late.
   */
  ask?: (question: Question, over: AbortSignal) => Promise<Said>;
  secrets?: Secrets;
  /** Downloads that are kept for all sandboxes. Without it, each is fetched. */
  cache?: DownloadCache;
  /** PEM certificates that upstreams are verified with, besides the system's. */
  extraCa?: readonly string[];
  /** Lines that tell how to allow what was denied: `warren policy allow NAME example.com`. */
  denialHint(verdict: Denied | Asked): string[];
  /** Numbers of flows in the audit, unique as long as it lives; by default counted from 1 per attach. */
  nextFlow?: () => number;
  limits?: Partial<DoorLimits>;
}

export interface DoorLimits {
  flows: number;
  /** Pieces of bytes that wait unread, of all flows: each takes a hundred bytes besides its own. */
  pieces: number;
  /** Flows whose requests are read. */
  readFlows: number;
  /** How long one waits while all of them are at work. */
  placeMs: number;
  /** Opens and DNS questions beyond this rate are refused, once the burst is used up. */
  opensPerSecond: number;
  opensBurst: number;
  /** Requests under way inside all flows of the door. */
  requests: number;
  headerBytes: number;
  dnsBodyBytes: number;
  guestClaimBytes: number;
  /** How long a client may stay silent before it is taken for one that waits for the server to speak. */
  silenceMs: number;
  /** The same where no rule allows it, and either side may be the one that speaks first. */
  deniedSilenceMs: number;
  /** For a client's first bytes to become complete, for TLS handshakes, and for a head of a request. */
  handshakeMs: number;
  resolveMs: number;
  connectMs: number;
  askMs: number;
  /** After a change of the rules, until what is open is judged again. */
  lookAgainMs: number;
}

export const DOOR_LIMITS: DoorLimits = {
  flows: 512,
  pieces: 200_000,
  readFlows: 128,
  placeMs: 10_000,
  opensPerSecond: 100,
  opensBurst: 512,
  requests: 512,
  headerBytes: 64 * 1024,
  dnsBodyBytes: 4 * 1024,
  guestClaimBytes: 1024,
  silenceMs: 300,
  deniedSilenceMs: 10_000,
  handshakeMs: 10_000,
  resolveMs: 5_000,
  connectMs: 10_000,
  askMs: 60_000,
  lookAgainMs: 1_000,
};
