// The request as it goes upstream: without what a rule takes away, with secrets where they belong.

import { Gather } from '../../protocol/gather.ts';
import { type FlowContext, written } from '../flow/context.ts';
import { BodyDenied, type BodySecrets } from '../flow/secrets.ts';
import { hostText } from '../names/canonical-host.ts';
import type { Allowed, RequestHead } from '../policy/verdict.ts';
import type { Call, Outgoing } from './call.ts';
import type { HttpFlow } from './http-flow.ts';
import { through } from './pump.ts';

/** Why a secret keeps it from being sent; one line, safe to print. */
export interface SecretRefusal {
  refused: string;
  misuse: boolean;
}

export interface Prepared {
  outgoing: Outgoing;
  used: readonly string[];
}

/** Bodies up to this keep a length that they can tell. */
const COLLECTED_BYTES = 1024 * 1024;

export async function prepare(
  call: Call,
  { flow, protocol }: HttpFlow,
  verdict: Allowed,
): Promise<Prepared | SecretRefusal> {
  const { body, websocket, wantsTrailers } = call.read;
  const head = strippedHead(call, verdict);
  const { host, port } = flow.target;
  const authority = port === (protocol === 'https' ? 443 : 80) ? hostText(host) : `${hostText(host)}:${port}`;
  const outgoing = {
    ...head,
    authority,
    scheme: protocol,
    body,
    websocket,
    wantsTrailers,
    spelling: call.spelling,
  };
  const { secrets } = flow.door.parts;
  if (!secrets) return { outgoing, used: [] };
  try {
    const put = await secrets.substitute(head, flow.target, protocol, verdict.secrets ?? null);
    if ('misuse' in put) return { refused: put.misuse, misuse: true };
    if ('missing' in put) return { refused: put.missing, misuse: false };
    const { used, headers } = put;
    return { outgoing: { ...outgoing, headers, path: put.path ?? head.path }, used };
  } catch {
    return { refused: 'a secret could not be read', misuse: false };
  }
}

/** A body with secrets to be put in: whole when it is small, else the stream that it must pass through. */
export interface ShapedBody {
  outgoing: Outgoing['body'];
  whole: Buffer | null;
  secrets: BodySecrets;
}

/** Null: it passes as it is. */
export async function shapeBody(
  call: Call,
  { flow, protocol }: HttpFlow,
  verdict: Allowed,
): Promise<ShapedBody | SecretRefusal | null> {
  const { body, websocket } = call.read;
  const { secrets } = flow.door.parts;
  if (!secrets?.body || body.kind === 'none' || websocket || verdict.gitPush) return null;
  const head = strippedHead(call, verdict);
  const put = secrets.body(head, flow.target, protocol, verdict.secrets ?? null);
  if (!put) return null;
  if (body.kind === 'unknown' || body.bytes > COLLECTED_BYTES)
    return { outgoing: { kind: 'unknown' }, whole: null, secrets: put };
  const all = new Gather();
  try {
    for await (const chunk of through(call.body, put.stream)) all.add(chunk);
  } catch (error) {
    return refusalOf(error) ?? { refused: 'its body broke off', misuse: false };
  }
  const whole = all.take();
  return { outgoing: { kind: 'length', bytes: whole.length }, whole, secrets: put };
}

export function refusalOf(error: unknown): SecretRefusal | null {
  return error instanceof BodyDenied ? { refused: error.message, misuse: error.isMisuse } : null;
}

/** A misuse is worth a record of its own. */
export async function tellMisuse(
  flow: FlowContext,
  { ruleId }: Allowed,
  { refused, misuse }: SecretRefusal,
): Promise<void> {
  if (!misuse) return;
  await written(flow.door, {
    kind: 'notice',
    code: 'secret-misuse',
    flow: flow.nr,
    host: hostText(flow.target.host),
    port: flow.target.port,
    decision: 'deny',
    ruleId,
    reason: refused,
  });
}

function strippedHead({ read }: Call, { stripHeaders }: Allowed): RequestHead {
  const { method, path, headers } = read.head;
  return { method, path, headers: headers.filter(([name]) => !stripHeaders.includes(name)) };
}
