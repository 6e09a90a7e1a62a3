// One flow from its first byte to its last record: where it goes → may it → what it speaks → pass it on, take it
// apart, or say no in its own language. What comes through it is hostile.

import type { Duplex } from 'node:stream';
import type { SecureContext } from 'node:tls';
import type { FrontHttp1 } from '../http/front-http1.ts';
import { intercept } from '../http/intercept.ts';
import { Origins } from '../http/origins.ts';
import { canonicalHost, hostText, sameHost } from '../names/canonical-host.ts';
import type { Host } from '../names/host.ts';
import type { Allowed, Denied, FlowVerdict, Protocol } from '../policy/verdict.ts';
import { unrecognizedName } from '../tls/alert.ts';
import { chooseProtocol } from './classify.ts';
import { type Decided, type FlowContext, flowEvent, settle, written } from './context.ts';
import { dial } from './dial.ts';
import type { DoorLimits } from './parts.ts';
import { type Peeked, peek } from './peek.ts';
import { Pieces } from './pieces.ts';
import { abort, relay } from './relay.ts';
import { areMany } from './share.ts';
import { whileAllowed } from './while-allowed.ts';

export interface FlowTools {
  front: FrontHttp1;
  upstreamTls: () => SecureContext;
}

const END_GRACE_MS = 5_000;
const CLIENT_FIRST_PORTS = [80, 443];
/** FTP, SSH, mail, MySQL, VNC: who is denied there waits for words that never come. */
const SERVER_FIRST_PORTS = [21, 22, 25, 110, 143, 587, 3306, 5900];

type Clear = Exclude<Peeked['spoken'], { kind: 'silence' } | { kind: 'ended' }>;

export async function runFlow(stream: Duplex, flow: FlowContext, tools: FlowTools): Promise<void> {
  stream.on('error', () => {});
  // One that its client closed without an error would wait for ever for what was written to it to be sent.
  stream.once('aborted', () => abort(stream));
  try {
    await walk(stream, flow, tools);
  } finally {
    abort(stream);
  }
}

async function walk(stream: Duplex, flow: FlowContext, tools: FlowTools): Promise<void> {
  const { door, target } = flow;
  const { handshakeMs } = door.limits;
  const verdict = door.parts.policy().judgeFlow(target);
  if (verdict.decision === 'deny') flow.denied = verdict;
  const silenceMs = silenceOf(verdict, target.port, door.limits);
  const { spoken, head } = await peek(stream, { silenceMs, completeMs: handshakeMs });
  if (spoken.kind === 'ended' && !(await onlyListens(stream, verdict))) {
    await written(door, flowEvent(flow, null, wordless(verdict)));
    return;
  }
  const clear: Clear = spoken.kind === 'silence' || spoken.kind === 'ended' ? { kind: 'other' } : spoken;
  const isTls = clear.kind === 'tls' || clear.kind === 'broken-tls';
  const protocols: readonly Protocol[] =
    verdict.decision === 'allow'
      ? verdict.protocols
      : verdict.decision === 'ask' && !isTls
        ? ['http', 'tcp']
        : ['https', 'http'];
  const protocol = chooseProtocol(clear, protocols, target.port);
  if (protocol === 'https' || protocol === 'http') return serveHttp(stream, flow, tools, clear, protocol);
  if (verdict.decision === 'deny') {
    await written(door, flowEvent(flow, protocol, pick(verdict)));
    return;
  }
  await serveOpaque(stream, flow, clear, head, protocol);
}

/**
 * Only where the server may have to speak first is a silent client taken for one that waits. A guest may be slow: a
 * runtime of an emulated one takes seconds from its connection to its first byte when the computer is busy.
 */
function silenceOf(verdict: FlowVerdict, port: number, limits: DoorLimits): number {
  if (verdict.decision === 'allow')
    return verdict.protocols.includes('tcp') ? limits.silenceMs : limits.handshakeMs;
  if (CLIENT_FIRST_PORTS.includes(port)) return limits.handshakeMs;
  return SERVER_FIRST_PORTS.includes(port) ? limits.silenceMs : limits.deniedSilenceMs;
}

/** A client that has ended its side may still want to hear what a server says that speaks first. */
async function onlyListens(stream: Duplex, verdict: FlowVerdict): Promise<boolean> {
  if (verdict.decision !== 'allow' || !verdict.protocols.includes('tcp')) return false;
  // A reset stream of HTTP/2 tells an end first.
  await new Promise(setImmediate);
  return !stream.destroyed;
}

/** Whoever looks for open doors leaves no bytes, but a record. */
function wordless(verdict: FlowVerdict): Decided {
  if (verdict.decision === 'deny') return pick(verdict);
  const { reason } = { reason: 'its client left without a word', ...verdict };
  const decision = verdict.decision === 'ask' ? 'deny' : 'allow';
  return { decision, ruleId: null, reason };
}

async function serveHttp(
  stream: Duplex,
  flow: FlowContext,
  { front, upstreamTls }: FlowTools,
  clear: Clear,
  protocol: 'http' | 'https',
): Promise<void> {
  const { door, target } = flow;
  if (clear.kind === 'tls' && clear.serverName !== null && !isName(clear.serverName, target.host)) {
    await refuseName(stream, flow, protocol);
    return;
  }
  flow.place = await door.places.take();
  if (!flow.place) {
    const reason = `more than ${door.limits.readFlows} connections whose requests are read are at work`;
    await written(door, flowEvent(flow, protocol, { decision: 'deny', ruleId: null, reason }));
    return;
  }
  const origins = new Origins(flow, protocol === 'https' ? upstreamTls : null);
  const http = { flow, protocol, origins };
  let failed: string | null = null;
  try {
    if (protocol === 'https') failed = await intercept(stream, http, front);
    else {
      const { promise, resolve } = Promise.withResolvers<void>();
      stream.once('close', resolve);
      // A client that does not end its side, although it was told the end, must not hold its place.
      stream.once('finish', () => setTimeout(() => stream.destroy(), END_GRACE_MS).unref());
      front.serve(stream, http);
      flow.place.opened(() => stream.end());
      if (!stream.destroyed) await promise;
    }
  } finally {
    origins.close();
    flow.place.leave();
  }
  const decided: Decided = flow.denied ?? {
    decision: flow.allowed > 0 || flow.requests === 0 ? 'allow' : 'deny',
    ruleId: null,
    reason: failed,
  };
  await written(door, flowEvent(flow, protocol, pick(decided)));
}

/** Nobody looks into it: judged once, written down before the first byte goes out and after the last. */
async function serveOpaque(
  stream: Duplex,
  flow: FlowContext,
  clear: Clear,
  head: Buffer | null,
  protocol: 'tcp' | 'tls-passthrough',
): Promise<void> {
  const { door, target } = flow;
  if (protocol === 'tls-passthrough' && !passes(clear, target.host)) {
    await refuseName(stream, flow, protocol);
    return;
  }
  const judge = () => door.parts.policy().judgeConnection(target, protocol);
  const verdict = await settle(flow, protocol, judge, (callback) =>
    stream.destroyed ? callback() : stream.once('close', callback),
  );
  if (verdict.decision === 'deny') {
    await written(door, flowEvent(flow, protocol, pick(verdict)));
    return;
  }
  const allowed: Decided = { decision: 'allow', ruleId: verdict.ruleId, reason: null };
  const stop = whileAllowed(flow, verdict, judge, (why) => {
    allowed.reason = why;
    abort(stream);
  });
  await passOn(stream, flow, head, protocol, verdict, allowed).finally(stop);
}

async function passOn(
  stream: Duplex,
  flow: FlowContext,
  head: Buffer | null,
  protocol: 'tcp' | 'tls-passthrough',
  verdict: Allowed,
  allowed: Decided,
): Promise<void> {
  const { door, target } = flow;
  if (!(await written(door, { ...flowEvent(flow, protocol, allowed), begun: true }))) return;
  if (stream.destroyed) {
    await written(door, flowEvent(flow, protocol, allowed));
    return;
  }
  const pieces = areMany(door.flows) ? new Pieces() : null;
  const dialed = await dial(door.parts, door.limits, target, verdict, pieces?.reading);
  if (!('socket' in dialed)) {
    const reason = 'denied' in dialed ? dialed.denied : dialed.failed;
    const ruleId = ('denied' in dialed ? dialed.ruleId : null) ?? verdict.ruleId;
    const decision = 'denied' in dialed ? 'deny' : 'allow';
    await written(door, flowEvent(flow, protocol, { decision, ruleId, reason }));
    return;
  }
  flow.upstream = dialed.address;
  const upstream = pieces && dialed.isRead ? pieces.over(dialed.socket) : dialed.socket;
  door.pieces.watch(upstream);
  await relay(stream, upstream, head, flow.counts);
  await written(door, flowEvent(flow, protocol, allowed));
}

async function refuseName(stream: Duplex, flow: FlowContext, protocol: Protocol): Promise<void> {
  stream.end(unrecognizedName);
  const reason = `${hostText(flow.target.host)}: the TLS client asks for another name than the one it connected to`;
  await written(flow.door, flowEvent(flow, protocol, { decision: 'deny', ruleId: null, reason }));
  await flushed(stream);
}

function passes(clear: Clear, host: Host): boolean {
  if (clear.kind !== 'tls') return false;
  // An address has no name of its own: the rule is about wherever it leads.
  if (host.kind === 'address') return true;
  return clear.serverName !== null && isName(clear.serverName, host);
}

function isName(serverName: string, host: Host): boolean {
  const named = canonicalHost(serverName);
  return !('refused' in named) && sameHost(named, host);
}

function pick({ decision, ruleId, reason }: Decided | Denied): Decided {
  return { decision, ruleId, reason };
}

async function flushed(stream: Duplex): Promise<void> {
  if (stream.writableFinished || stream.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.once('finish', resolve).once('close', resolve);
  await promise;
}
