// What is known of one flow while it lives, and the words that the audit writes of it.

import type { PieceLimit } from '../../host/limit-pieces.ts';
import type { FlowEvent, GuestClaim } from '../audit/event.ts';
import { hostText } from '../names/canonical-host.ts';
import type { Allowed, Asked, Denied, Protocol, RequestVerdict, Said, Target } from '../policy/verdict.ts';
import type { DoorLimits, DoorParts } from './parts.ts';
import type { Place, Places } from './places.ts';
import type { Counts } from './relay.ts';

/** Shared by all flows of a door. */
export interface Door {
  parts: DoorParts;
  limits: DoorLimits;
  /** How many requests are under way. */
  requests: number;
  /** How many flows are open. */
  flows: number;
  /** Of those that are taken apart. */
  places: Places;
  /** Of all flows, and of requests of HTTP/2 in them. */
  pieces: PieceLimit;
}

export interface FlowContext {
  door: Door;
  nr: number;
  target: Target;
  guest: GuestClaim | null;
  startedMs: number;
  counts: Counts;
  /** Dialed last. */
  upstream: string | null;
  /** Set when nothing at all may go there: then each request gets this answer. */
  denied: Denied | Asked | null;
  /** Protocols that a person let through, for this flow. */
  approved: Set<Protocol>;
  /** Requests so far, and how many of them were let through. */
  requests: number;
  allowed: number;
  /** While it is taken apart. */
  place: Place | null;
}

export type Decided = Pick<FlowEvent, 'decision' | 'ruleId' | 'reason'>;

export function flowEvent(flow: FlowContext, protocol: Protocol | null, decided: Decided): FlowEvent {
  return {
    kind: 'flow',
    flow: flow.nr,
    host: hostText(flow.target.host),
    port: flow.target.port,
    ...decided,
    protocol,
    upstream: flow.upstream,
    bytesUp: flow.counts.up,
    bytesDown: flow.counts.down,
    durationMs: Math.round(performance.now() - flow.startedMs),
    guest: flow.guest,
  };
}

/** False when it could not be written: then what it is about must not happen. */
export async function written(
  { parts }: Door,
  event: Parameters<DoorParts['audit']['write']>[0],
): Promise<boolean> {
  try {
    await parts.audit.write(event);
    return true;
  } catch {
    return false;
  }
}

/** Asks, if anybody can be asked, and judges again: an answer may have become a rule. */
export async function settle(
  flow: FlowContext,
  protocol: Protocol,
  judge: () => RequestVerdict,
): Promise<Allowed | Denied> {
  const verdict = judge();
  if (verdict.decision !== 'ask') return verdict;
  const { parts, limits } = flow.door;
  if (!flow.approved.has(protocol)) {
    const question = { target: flow.target, protocol, reason: verdict.reason };
    const said = await answerTo(parts.ask?.(question), limits.askMs);
    if (said !== true) {
      // "Never" has become a rule, which says so itself.
      const now = judge();
      return now.decision === 'ask' ? unasked(verdict, said) : now;
    }
    flow.approved.add(protocol);
  }
  const again = judge();
  return again.decision === 'ask' ? granted(verdict, protocol) : again;
}

/** Any other value than `true`, a rejection and silence are a no. */
async function answerTo(answer: Promise<Said> | undefined, timeoutMs: number): Promise<Said> {
  const late = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => late.resolve('late'), timeoutMs);
  try {
    return (await Promise.race([answer, late.promise])) ?? 'nobody';
  } catch {
    return 'nobody';
  } finally {
    clearTimeout(timer);
  }
}

const UNSAID: Record<Exclude<Said, true>, string> = {
  no: 'somebody said no',
  nobody: 'nobody is there to answer',
  crowded: 'too many questions were asked, so this one was not',
  late: 'nobody answered in time',
};

function unasked({ ruleId, reason, allowWith }: Asked, said: Exclude<Said, true>): Denied {
  return { decision: 'deny', ruleId, reason: `${reason}; ${UNSAID[said] ?? 'nobody said yes'}`, allowWith };
}

/** A person's yes never opens private addresses, and never gives secrets away. */
function granted({ ruleId }: Asked, protocol: Protocol): Allowed {
  return {
    decision: 'allow',
    ruleId: ruleId ?? 'asked',
    protocol,
    allowPrivate: false,
    stripHeaders: [],
    secrets: [],
  };
}
