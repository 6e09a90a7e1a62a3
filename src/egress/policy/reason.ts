// Why not, for a person: one line that is safe to print, and what would allow it, to paste behind
// `warren policy allow NAME`. Methods and paths were chosen by a guest (hostile); at most 200 characters of each.

import { sanitizeLine } from '../../protocol/sanitize.ts';
import { hostText } from '../names/canonical-host.ts';
import { vetAddresses } from '../names/vetting.ts';
import { withoutQuery } from './path.ts';
import { HOST_SERVICE_NAME, type Rule } from './rule.ts';
import type { Denied, Protocol, RequestHead, Target } from './verdict.ts';

const USUAL_PORTS: Record<Protocol, number | null> = {
  https: 443,
  http: 80,
  'tls-passthrough': 443,
  tcp: null,
};

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

export function nothingAllows(what: string, remedy: string | null, otherPorts: number[] = []): Denied {
  const only =
    otherPorts.length === 0 ? '' : `; only port ${otherPorts.slice(0, 8).join(', ')} is allowed there`;
  return { decision: 'deny', ruleId: null, reason: `${what}: no rule allows it${only}`, allowWith: remedy };
}

/** What would let the same requests go where the name leads to private addresses. */
export function privately(target: Target, protocol: 'http' | 'https', { method }: RequestHead): string {
  const methods = /^[A-Z]{1,20}$/.test(method) ? ` --method ${method}` : '';
  return `${allowWith(target, protocol)}${methods} --private`;
}

/** `example.com`, `example.com:8443 --tcp`, `example.com --method PUT --path /me/x`; null when nothing should. */
export function allowWith(
  { host, port }: Target,
  protocol: Protocol | null,
  head?: RequestHead,
): string | null {
  if (host.kind === 'name' && host.name === HOST_SERVICE_NAME) return `--host-service ${port}`;
  if (host.kind === 'address') {
    const open = vetAddresses([host.address], { allowPrivate: true, ownAddresses: [] });
    if (open.usable.length === 0 || /^127\.|^::1$/.test(host.address)) return null;
  }
  const spoken = protocol ?? (port === 80 ? 'http' : 'https');
  const words = [
    port === USUAL_PORTS[spoken] && spoken !== 'http' ? hostText(host) : `${hostText(host)}:${port}`,
  ];
  if (spoken === 'tcp' || spoken === 'tls-passthrough') words.push(`--${spoken}`);
  if (spoken === 'http' && port !== 80) words.push('--http');
  if (head) {
    if (/^[A-Z]{1,20}$/.test(head.method)) words.push(`--method ${head.method}`);
    const path = withoutQuery(head.path);
    if (/^\/[A-Za-z0-9._/@%-]{0,200}$/.test(path)) words.push(`--path ${path}`);
  }
  return words.join(' ');
}
