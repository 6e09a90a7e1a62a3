// Takes secrets out of an answer again: exact values, in headers and in bodies, whatever those call themselves. Against
// origins that repeat what they were sent, not against ones that mean to give a secret away.

import type { Scrub } from '../flow/secrets.ts';
import type { Response, ResponseHead, Switched } from './call.ts';
import { type HeaderList, listOf, valuesOf } from './headers.ts';
import { through } from './pump.ts';

/** Whoever asks for more wants to know how long it is. */
const MAX_UNTOLD_BYTES = 1024 * 1024;
const TEXT =
  /^(?:text\/|application\/(?:(?:[\w.-]+\+)?(?:json|xml)|(?:x-)?(?:javascript|ndjson|yaml)|x-www-form-urlencoded|graphql-response)\b)/;

export function scrubbed<O extends Response | Switched>(outcome: O, scrub: Scrub | null): O;
export function scrubbed(outcome: Response | Switched, scrub: Scrub | null): Response | Switched {
  if (!scrub) return outcome;
  const clean = (headers: HeaderList) =>
    headers.flatMap(([name, value]): [string, string][] =>
      scrub.isIn(name) ? [] : [[name, scrub.text(value)]],
    );
  if (outcome.kind === 'switched')
    return { ...outcome, rawHeaders: outcome.rawHeaders.map((text) => scrub.text(text)) };
  const { head, body } = outcome;
  const headers = clean(head.headers);
  const trailers = () => clean(outcome.trailers());
  const answer = { ...outcome, head: { ...head, headers, message: scrub.text(head.message) }, trailers };
  if (head.bodiless) return answer;
  const isText = isReadable(head.headers);
  if (!isText || keepsLength(head) || !scrub.isKnown)
    return { ...answer, body: through(body, scrub.mask(isText)) };
  const untold = headers.filter(([name]) => name !== 'content-length');
  return { ...answer, head: { ...answer.head, headers: untold }, body: through(body, scrub.body()) };
}

/** Also of gRPC and Connect, which compress each message of a stream, and of RFC 3229. */
const ASKS_FOR_CODING = /^(?:(?:grpc-|connect-)?accept-encoding|a-im)$/;

/** What is compressed cannot be looked through, and a guest could ask for it so: of a host that knows a value, nobody does. */
export function askedPlain(headers: HeaderList): [string, string][] {
  const others = headers.filter(([name]) => !ASKS_FOR_CODING.test(name));
  return [...others.map(([name, value]): [string, string] => [name, value]), ['accept-encoding', 'identity']];
}

/** What does not say what it is, as Node's server by itself, is taken for text. */
function isReadable(headers: HeaderList): boolean {
  if (listOf(headers, 'content-encoding').some((encoding) => encoding !== 'identity')) return false;
  const type = (valuesOf(headers, 'content-type')[0] ?? '').trim().toLowerCase();
  return type === '' || TEXT.test(type);
}

function keepsLength({ status, headers }: ResponseHead): boolean {
  if (status === 206 || valuesOf(headers, 'content-range').length > 0) return true;
  return Number(valuesOf(headers, 'content-length')[0] ?? 0) > MAX_UNTOLD_BYTES;
}
