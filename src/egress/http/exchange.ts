// What happens to one request: judge → write it down → connect, verified → put secrets in → send → pass the answer
// back → write down what came of it. Whatever fails on the way, nothing goes upstream.

import type { RequestEvent } from '../audit/event.ts';
import { type FlowContext, settle, written } from '../flow/context.ts';
import { hostText } from '../names/canonical-host.ts';
import { withoutQuery } from '../policy/path.ts';
import type { Allowed, RequestHead } from '../policy/verdict.ts';
import type { Call, Outcome, Outgoing, Sent } from './call.ts';
import { type Download, withHeaders } from './downloads.ts';
import { holdPush } from './git-push.ts';
import type { Origins } from './origins.ts';
import { passBody, passResponse } from './pass.ts';
import { denial, failure, type Refusal } from './refusal.ts';

export interface HttpFlow {
  flow: FlowContext;
  protocol: 'http' | 'https';
  origins: Origins;
}

interface Trace {
  nr: number;
  startedMs: number;
  decision: RequestEvent['decision'];
  ruleId: string | null;
  reason: string | null;
  status: number | null;
  up: number;
  down: number;
  secrets: readonly string[];
  cached: boolean;
}

const MAX_TRIES = 2;

export async function exchange(call: Call, http: HttpFlow): Promise<void> {
  const { flow } = http;
  const trace: Trace = {
    nr: ++flow.requests,
    startedMs: performance.now(),
    decision: 'deny',
    ruleId: null,
    reason: null,
    status: null,
    up: 0,
    down: 0,
    secrets: [],
    cached: false,
  };
  const { door } = flow;
  const busy = door.requests >= door.limits.requests;
  door.requests += 1;
  try {
    const refusal = busy
      ? { ...failure(503, `more than ${door.limits.requests} requests are under way`), code: 'busy' as const }
      : await proceed(call, http, trace);
    if (refusal) {
      if (refusal.status === 403) trace.decision = 'deny';
      trace.ruleId = refusal.ruleId ?? trace.ruleId;
      trace.reason = refusal.reason;
      trace.status = refusal.status;
      // Refused either way; but whoever reads of it must not find more than was written down.
      await written(door, eventOf(call, http, trace));
      call.refuse(refusal);
    } else {
      await written(door, eventOf(call, http, trace));
    }
  } finally {
    door.requests -= 1;
    flow.counts.up += trace.up;
    flow.counts.down += trace.down;
  }
}

/** Answers why it was refused; null once the answer has been passed on or the client has gone. */
async function proceed(call: Call, http: HttpFlow, trace: Trace): Promise<Refusal | null> {
  const { flow, protocol } = http;
  const { parts } = flow.door;
  const { head } = call.read;
  if (flow.denied) return denial(flow.denied, parts.denialHint(flow.denied as never));
  const verdict = await settle(flow, protocol, () =>
    parts.policy().judgeRequest(flow.target, protocol, head),
  );
  if (verdict.decision === 'deny') return denial(verdict, parts.denialHint(verdict));
  trace.decision = 'allow';
  trace.ruleId = verdict.ruleId;
  if (!(await written(flow.door, { ...eventOf(call, http, trace), begun: true })))
    return failure(503, 'what leaves cannot be written down, so nothing leaves', verdict.ruleId);
  if (call.gone) return null;
  flow.allowed += 1;

  let prefix: Buffer | null = null;
  if (verdict.gitPush) {
    if (call.read.expectsContinue) call.sendContinue();
    const held = await holdPush(call, verdict.gitPush.refs);
    if ('refused' in held) return denial({ ruleId: verdict.ruleId, reason: held.refused }, []);
    prefix = held.prefix;
  } else if (call.read.expectsContinue && !call.gone) call.sendContinue();
  return send(call, http, verdict, prefix, trace);
}

async function send(
  call: Call,
  http: HttpFlow,
  verdict: Allowed,
  prefix: Buffer | null,
  trace: Trace,
): Promise<Refusal | null> {
  const { flow, origins } = http;
  const download = await downloadOf(call, http, verdict, trace);
  const kept = await download?.find();
  if (kept) {
    trace.cached = true;
    const abort = () => kept.body.destroy();
    call.onGone(abort);
    return conclude(call, verdict, { abort }, { kind: 'response', ...kept, trailers: () => [] }, trace);
  }
  for (let tries = 1; ; tries++) {
    const ready = await origins.ready(verdict, call.version === 2);
    if ('denied' in ready)
      return denial({ ruleId: ready.ruleId ?? verdict.ruleId, reason: ready.denied }, []);
    if ('failed' in ready) return failure(502, ready.failed, verdict.ruleId);
    const outgoing = await prepare(call, http, verdict, trace);
    if ('refused' in outgoing) {
      await written(flow.door, {
        kind: 'notice',
        code: 'secret-misuse',
        flow: flow.nr,
        host: hostText(flow.target.host),
        port: flow.target.port,
        decision: 'deny',
        ruleId: verdict.ruleId,
        reason: outgoing.refused,
      });
      return denial({ ruleId: verdict.ruleId, reason: outgoing.refused }, []);
    }
    if (call.gone) return null;
    const sent = ready.send(withHeaders(outgoing, download));
    call.onGone(sent.abort);
    const bodySent = sent.sink !== null;
    if (sent.sink) passBody(call, sent, prefix, (bytes) => (trace.up += bytes));
    const outcome = await sent.outcome;
    if (call.gone) return null;
    if (outcome.kind === 'failed' && outcome.stale && tries < MAX_TRIES && !bodySent) continue;
    if (outcome.kind === 'response') download?.watch(outcome);
    return conclude(call, verdict, sent, outcome, trace);
  }
}

/** Null for all but a request without a body and without secrets, for something that may be kept. */
async function downloadOf(
  call: Call,
  http: HttpFlow,
  verdict: Allowed,
  trace: Trace,
): Promise<Download | null> {
  const { cache } = http.flow.door.parts;
  const { body, websocket } = call.read;
  if (!cache || body.kind !== 'none' || websocket) return null;
  const headers = call.read.head.headers.filter(([name]) => !verdict.stripHeaders.includes(name));
  const download = cache.consider({
    protocol: http.protocol,
    target: http.flow.target,
    grant: verdict,
    head: { ...call.read.head, headers },
  });
  if (!download) return null;
  // A placeholder where it does not belong is told as ever.
  const prepared = await prepare(call, http, verdict, trace);
  return 'refused' in prepared || trace.secrets.length > 0 ? null : download;
}

async function conclude(
  call: Call,
  { ruleId }: Allowed,
  sent: Pick<Sent, 'abort'>,
  outcome: Outcome,
  trace: Trace,
): Promise<Refusal | null> {
  if (outcome.kind === 'failed') return failure(502, `the origin did not answer: ${outcome.why}`, ruleId);
  trace.status = outcome.kind === 'response' ? outcome.head.status : 101;
  const answered = await passResponse(call, sent, outcome, trace);
  return answered ? null : failure(502, 'the origin’s answer is broken', ruleId);
}

/** The request as it goes upstream. */
async function prepare(
  call: Call,
  { flow, protocol }: HttpFlow,
  verdict: Allowed,
  trace: Trace,
): Promise<Outgoing | { refused: string }> {
  const { head, body, websocket, wantsTrailers } = call.read;
  const headers = head.headers.filter(([name]) => !verdict.stripHeaders.includes(name));
  const stripped: RequestHead = { ...head, headers };
  const { host, port } = flow.target;
  const authority = port === (protocol === 'https' ? 443 : 80) ? hostText(host) : `${hostText(host)}:${port}`;
  const plain = { method: head.method, path: head.path, headers };
  const rest = {
    authority,
    scheme: protocol,
    body,
    websocket,
    wantsTrailers,
    spelling: call.spelling,
  };
  const { secrets } = flow.door.parts;
  if (!secrets) return { ...plain, ...rest };
  try {
    const put = await secrets.substitute(stripped, flow.target, protocol, verdict.secrets ?? null);
    if ('misuse' in put) return { refused: put.misuse };
    trace.secrets = put.used;
    return { ...plain, ...rest, headers: put.headers, path: put.path ?? head.path };
  } catch {
    return { refused: 'a secret could not be read' };
  }
}

export function eventOf(
  call: Pick<Call, 'read'>,
  { flow, protocol }: HttpFlow,
  trace: Omit<Trace, 'startedMs'> & { startedMs: number },
): RequestEvent {
  return {
    kind: 'request',
    flow: flow.nr,
    request: trace.nr,
    host: hostText(flow.target.host),
    port: flow.target.port,
    decision: trace.decision,
    ruleId: trace.ruleId,
    reason: trace.reason,
    protocol,
    method: call.read.head.method,
    path: withoutQuery(call.read.head.path),
    status: trace.status,
    bytesUp: trace.up,
    bytesDown: trace.down,
    durationMs: Math.round(performance.now() - trace.startedMs),
    secrets: trace.secrets,
    ...(trace.cached && { cached: true }),
  };
}
