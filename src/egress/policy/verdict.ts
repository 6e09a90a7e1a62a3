// The words in which the door asks and the policy answers. Pure; the policy never sees bytes, only what was read
// out of them by the strict parsers of this room.

import type { Host } from '../names/host.ts';
import type { Entry } from './rule.ts';

/** How a rule lets a flow through. `https` is intercepted and judged request by request. */
export type Protocol = 'http' | 'https' | 'tls-passthrough' | 'tcp';

export const USUAL_PORTS: Record<Protocol, number | null> = {
  https: 443,
  http: 80,
  'tls-passthrough': 443,
  tcp: null,
};

/** Where a flow wants to go. A synthetic address has been turned back into its name before this. */
export interface Target {
  host: Host;
  port: number;
}

/** One request as it will be sent: `path` with its query, exactly the bytes that go upstream. */
export interface RequestHead {
  method: string;
  path: string;
  /** Lower-case names, in order, repeated names repeated. */
  headers: readonly (readonly [name: string, value: string])[];
}

export interface Allowed {
  decision: 'allow';
  ruleId: string;
  protocol: Protocol;
  /** The rule names private or loopback addresses: vetting lets them pass. */
  allowPrivate: boolean;
  /** Set for `host.warren.internal`: dial this port of the host's loopback. */
  hostService?: number;
  /** Request headers that the rule takes away (method override, …), lower-case. */
  stripHeaders: readonly string[];
  /** The very address that the rule names; hand it to vetting: then metadata and own addresses may pass too. */
  exactAddress?: string;
  /** The body's list of refs must be judged by `judgePushCommands` before any of it is sent on. */
  gitPush?: { refs: string };
  /** When given, no other secrets may be put in. */
  secrets?: readonly string[];
  /** The rule is about some paths: what would allow more keeps to the path that was asked. */
  onlyPaths?: boolean;
}

/** Where a flow that is allowed may lead, beyond addresses that anybody may reach. */
export type Grant = Pick<Allowed, 'allowPrivate' | 'hostService' | 'exactAddress'>;

export interface Denied {
  decision: 'deny';
  /** The rule that said no; null when no rule said yes. */
  ruleId: string | null;
  /** For the person: what was asked and why not, one line, already safe to print. */
  reason: string;
  /** The rule that would allow it; null where none can, or should. */
  allowWith: Entry | null;
}

export interface Asked {
  decision: 'ask';
  ruleId: string | null;
  reason: string;
  /** As of a denial, for when nobody says yes. */
  allowWith: Entry | null;
}

/** What became of a question. Only `true` lets anything through. */
export type Said = true | 'no' | 'nobody' | 'crowded' | 'late' | 'gone';

export type FlowVerdict = Denied | Asked | { decision: 'allow'; protocols: readonly Protocol[] };
export type RequestVerdict = Denied | Asked | Allowed;

/** The rules in force for one sandbox. Replaced as a whole, never changed. */
export interface Policy {
  /** Before a byte is read: may anything go there at all, and speaking what? */
  judgeFlow(target: Target): FlowVerdict;
  /** For `tcp` and `tls-passthrough`, which have no requests. */
  judgeConnection(target: Target, protocol: 'tcp' | 'tls-passthrough'): RequestVerdict;
  /** For each request of an `http` or intercepted `https` flow. */
  judgeRequest(target: Target, protocol: 'http' | 'https', head: RequestHead): RequestVerdict;
}
