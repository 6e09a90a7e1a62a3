// What happens to one request: judge → write it down → connect, verified → put secrets in → send → pass the answer
// back → write down what came of it. Whatever fails on the way, nothing goes upstream.

import type { Writable } from 'node:stream';
import { settle, written } from '../flow/context.ts';
import { whileAllowed } from '../flow/while-allowed.ts';
import { hostService, privately } from '../policy/allow-with.ts';
import type { Allowed } from '../policy/verdict.ts';
import type { Call, Outcome, Sent } from './call.ts';
import { type Download, withHeaders } from './downloads.ts';
import { holdPush } from './git-push.ts';
import type { HttpFlow } from './http-flow.ts';
import { headBytes, passBody, passResponse } from './pass.ts';
import { prepare, refusalOf, type SecretRefusal, shapeBody, tellMisuse } from './prepare.ts';
import { denial, failure, type Refusal } from './refusal.ts';
import { askedPlain, scrubbed } from './scrub.ts';
import { eventOf, type Trace } from './trace.ts';

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
  flow.place?.begin();
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
  } catch (error) {
    // A mistake of ours; what was begun has its end all the same.
    trace.reason = 'it could not be passed on';
    await written(door, eventOf(call, http, trace));
    throw error;
  } finally {
    door.requests -= 1;
    flow.place?.end();
    flow.counts.up += trace.up;
    flow.counts.down += trace.down;
  }
}

/** Answers why it was refused; null once the answer has been passed on or the client has gone. */
async function proceed(call: Call, http: HttpFlow, trace: Trace): Promise<Refusal | null> {
  const { flow, protocol } = http;
  const { parts } = flow.door;
  const { head } = call.read;
  if (flow.denied) {
    // What would allow it depends on what is spoken, which the flow's verdict did not know.
    const now = parts.policy().judgeRequest(flow.target, protocol, head);
    return denial(flow.denied, parts.denialHint(now.decision === 'deny' ? now : flow.denied));
  }
  const judge = () => parts.policy().judgeRequest(flow.target, protocol, head);
  const verdict = await settle(flow, protocol, judge, (callback) => call.onLeft(callback));
  if (verdict.decision === 'deny') return denial(verdict, parts.denialHint(verdict));
  const stop = whileAllowed(flow, verdict, judge, (why) => {
    trace.reason = why;
    call.abort();
  });
  return await letThrough(call, http, verdict, trace).finally(stop);
}

async function letThrough(
  call: Call,
  http: HttpFlow,
  verdict: Allowed,
  trace: Trace,
): Promise<Refusal | null> {
  const { flow } = http;
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
  const download = await downloadOf(call, http, verdict);
  const kept = await download?.find();
  if (kept) {
    trace.cached = true;
    const abort = () => kept.body.destroy();
    call.onGone(abort);
    return conclude(call, verdict, { abort }, { kind: 'response', ...kept, trailers: () => [] }, trace);
  }
  const refuse = async (why: SecretRefusal) => {
    await tellMisuse(flow, verdict, why);
    return denial({ ruleId: verdict.ruleId, reason: why.refused }, []);
  };
  const shaped = await shapeBody(call, http, verdict);
  if (call.gone) return null;
  if (shaped && 'refused' in shaped) return await refuse(shaped);
  for (let tries = 1; ; tries++) {
    const ready = await origins.ready(verdict, call.version === 2);
    if ('denied' in ready) {
      const allowWith = ready.isPrivate
        ? privately(flow.target, http.protocol, call.read.head, verdict.onlyPaths === true)
        : ready.isHere
          ? hostService(flow.target.port)
          : null;
      const denied = { ruleId: ready.ruleId ?? verdict.ruleId, reason: ready.denied, allowWith };
      return denial(denied, flow.door.parts.denialHint({ decision: 'deny', ...denied }));
    }
    if ('failed' in ready) return failure(502, ready.failed, verdict.ruleId);
    const prepared = await prepare(call, http, verdict);
    if ('refused' in prepared) return await refuse(prepared);
    if (call.gone) return null;
    const { used } = prepared;
    trace.secrets = used;
    const { secrets } = flow.door.parts;
    const isSearched = shaped !== null || Boolean(secrets?.scrub?.(flow.target));
    const shapedHead = {
      ...prepared.outgoing,
      ...(shaped && { body: shaped.outgoing }),
      ...(isSearched && { headers: askedPlain(prepared.outgoing.headers) }),
    };
    const outgoing = withHeaders(shapedHead, download);
    trace.up += headBytes(outgoing);
    const sent = ready.send(outgoing);
    call.onGone(sent.abort);
    const bodySent = sent.sink !== null;
    let broken: SecretRefusal | null = null;
    shaped?.secrets.stream.once('error', (error) => {
      broken = refusalOf(error);
    });
    if (sent.sink)
      passBody(call, sent, { prefix: shaped?.whole ?? prefix, stream: shaped?.secrets.stream }, (bytes) => {
        trace.up += bytes;
      });
    const outcome = await sent.outcome;
    trace.secrets = [...new Set([...used, ...(shaped?.secrets.used ?? [])])];
    if (broken) return await refuse(broken);
    if (call.gone) return null;
    if (outcome.kind === 'failed' && outcome.stale && tries < MAX_TRIES && !bodySent) continue;
    const copy = outcome.kind === 'response' ? (download?.watch(outcome) ?? null) : null;
    if (outcome.kind === 'response' && outcome.head.status === 401) secrets?.rejected?.(trace.secrets);
    const passed =
      outcome.kind === 'failed' ? outcome : scrubbed(outcome, secrets?.scrub?.(flow.target) ?? null);
    const refusal = await conclude(call, verdict, sent, passed, trace, copy);
    if (broken) await tellMisuse(flow, verdict, broken);
    return refusal;
  }
}

/** Null for all but a request without a body and without secrets, for something that may be kept. */
async function downloadOf(call: Call, http: HttpFlow, verdict: Allowed): Promise<Download | null> {
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
  const prepared = await prepare(call, http, verdict);
  return 'refused' in prepared || prepared.used.length > 0 ? null : download;
}

async function conclude(
  call: Call,
  { ruleId }: Allowed,
  sent: Pick<Sent, 'abort'>,
  outcome: Outcome,
  trace: Trace,
  copy: Writable | null = null,
): Promise<Refusal | null> {
  if (outcome.kind === 'failed') return failure(502, `the origin did not answer: ${outcome.why}`, ruleId);
  trace.status = outcome.kind === 'response' ? outcome.head.status : 101;
  const answered = await passResponse(call, sent, outcome, trace, copy);
  return answered ? null : failure(502, 'the origin’s answer is broken', ruleId);
}
