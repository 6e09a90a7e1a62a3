// Takes secrets out of an answer again: exact values, in headers, and in the first 1 MiB of bodies that are text and
// not compressed. Against origins that repeat what they were sent, not against ones that mean to give a secret away.

import type { Scrub } from '../flow/secrets.ts';
import type { Response, Switched } from './call.ts';
import { type HeaderList, listOf, valuesOf } from './headers.ts';
import { through } from './pump.ts';

const MAX_BYTES = 1024 * 1024;
const TEXT =
  /^(?:text\/|application\/(?:(?:[\w.-]+\+)?(?:json|xml)|(?:x-)?(?:javascript|ndjson|yaml)|x-www-form-urlencoded|graphql-response)\b)/;

export function scrubbed<O extends Response | Switched>(outcome: O, scrub: Scrub | null): O;
export function scrubbed(outcome: Response | Switched, scrub: Scrub | null): Response | Switched {
  if (!scrub) return outcome;
  const clean = (headers: HeaderList) =>
    headers.map(([name, value]): [string, string] => [name, scrub.text(value)]);
  if (outcome.kind === 'switched')
    return { ...outcome, rawHeaders: outcome.rawHeaders.map((text) => scrub.text(text)) };
  const { head } = outcome;
  const headers = clean(head.headers);
  const trailers = () => clean(outcome.trailers());
  const message = scrub.text(head.message);
  if (head.bodiless || !isReadable(head.headers))
    return { ...outcome, head: { ...head, headers, message }, trailers };
  return {
    kind: 'response',
    head: { ...head, message, headers: headers.filter(([name]) => name !== 'content-length') },
    body: through(outcome.body, scrub.body()),
    trailers,
  };
}

function isReadable(headers: HeaderList): boolean {
  if (listOf(headers, 'content-encoding').some((encoding) => encoding !== 'identity')) return false;
  if (Number(valuesOf(headers, 'content-length')[0] ?? 0) > MAX_BYTES) return false;
  return TEXT.test((valuesOf(headers, 'content-type')[0] ?? '').trim().toLowerCase());
}
