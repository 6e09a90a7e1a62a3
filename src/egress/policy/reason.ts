// Why not, for a person: one line that is safe to print. Methods and paths were chosen by a guest (hostile); at most
// 200 characters of each.

import { sanitizeLine } from '../../protocol/sanitize.ts';
import { hostText } from '../names/canonical-host.ts';
import { allowWith, unnameable } from './allow-with.ts';
import { withoutQuery } from './path.ts';
import type { Entry, Rule } from './rule.ts';
import { type Denied, type RequestHead, type Target, USUAL_PORTS } from './verdict.ts';

export function targetText({ host, port }: Target): string {
  return `${hostText(host)}:${port}`;
}

/** Without its query, which may hold what must not be shown. */
export function requestText({ host, port }: Target, protocol: 'http' | 'https', head: RequestHead): string {
  const at = port === USUAL_PORTS[protocol] ? hostText(host) : `${hostText(host)}:${port}`;
  const path = sanitizeLine(withoutQuery(head.path), 200);
  return `${sanitizeLine(head.method, 20)} ${protocol}://${at}${path}`;
}

export function deniedBy(rule: Rule, what: string): Denied {
  const comment = rule.comment === null ? '' : ` (${rule.comment})`;
  return {
    decision: 'deny',
    ruleId: rule.id,
    reason: `${what}: denied by rule ${rule.id}${comment}`,
    allowWith: null,
  };
}

export function nothingAllows(what: string, remedy: Entry | null, otherPorts: number[] = []): Denied {
  const only =
    otherPorts.length === 0 ? '' : `; only port ${otherPorts.slice(0, 8).join(', ')} is allowed there`;
  return { decision: 'deny', ruleId: null, reason: `${what}: no rule allows it${only}`, allowWith: remedy };
}

/** A rule is about the target, and not about this request. */
export function nearly(
  reason: string,
  target: Target,
  protocol: 'http' | 'https',
  head: RequestHead,
): Denied {
  const remedy = allowWith(target, protocol, head);
  const why = remedy === null ? unnameable(head) : null;
  const more = why === null || reason.includes(why) ? '' : `; no rule can name just this: ${why}`;
  return { decision: 'deny', ruleId: null, reason: `${reason}${more}`, allowWith: remedy };
}

/** Of the port of stable names. */
export function closedReason(port: number): string {
  return `port ${port} of this computer leads to ports of all sandboxes, and no rule opens it`;
}
