// What a policy would say, without anything being sent: of a URL as a request, of a host as a flow. What a name
// resolves to is not looked up, so private addresses behind an allowed name are told only by the door itself.

import { WarrenError } from '../../protocol/error.ts';
import type { CheckResult } from '../../protocol/policy.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import { canonicalHost, parsePort } from '../names/canonical-host.ts';
import type { RuledPolicy } from './judge.ts';
import type { FlowVerdict, RequestVerdict, Target } from './verdict.ts';

/** `what`: `https://example.com/path`, `example.com` or `example.com:8443`. Throws `usage.target`. */
export function checkAccess(policy: RuledPolicy, what: string, method: string): CheckResult {
  const [, scheme, authority = '', path = ''] =
    /^(?:([A-Za-z][A-Za-z0-9+.-]*):\/\/)?([^/?#]*)(.*)$/s.exec(what) ?? [];
  const spoken = scheme?.toLowerCase();
  if (spoken !== undefined && spoken !== 'https' && spoken !== 'http')
    throw wrong(what, `nothing is known of "${sanitizeLine(spoken, 20)}"`);
  const target = targetOf(what, authority, spoken === 'http' ? 80 : 443);
  const flow = policy.judgeFlow(target);
  if (spoken === undefined || flow.decision !== 'allow') return resultOf(flow);
  const head = { method, path: path.startsWith('/') ? path.replace(/#.*$/s, '') : '/', headers: [] };
  return resultOf(policy.judgeRequest(target, spoken, head));
}

function targetOf(what: string, authority: string, usualPort: number): Target {
  const [, hostText = '', portText] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(authority) ?? [];
  const host = canonicalHost(hostText);
  if ('refused' in host) throw wrong(what, host.refused);
  const port = portText === undefined ? usualPort : parsePort(portText);
  if (port === null) throw wrong(what, 'its port is not a number from 1 to 65535');
  return { host, port };
}

function resultOf(verdict: FlowVerdict | RequestVerdict): CheckResult {
  if (verdict.decision === 'allow')
    return {
      decision: 'allow',
      ruleId: 'ruleId' in verdict ? verdict.ruleId : null,
      reason: null,
      allowWith: null,
    };
  return {
    decision: verdict.decision,
    ruleId: verdict.ruleId,
    reason: verdict.reason,
    allowWith: 'allowWith' in verdict ? verdict.allowWith : null,
  };
}

function wrong(what: string, why: string): WarrenError {
  return new WarrenError({
    code: 'usage.target',
    message: `cannot check ${JSON.stringify(sanitizeLine(what, 200))}: ${why}`,
    remedy: 'give a URL or a host, such as https://example.com/path or example.com:8443',
  });
}
