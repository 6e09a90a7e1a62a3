// What a policy would say, without anything being sent: judged as the door judges a usual client of the web there. A host
// alone is a request for its first page. What a name resolves to is not looked up, so private addresses behind an
// allowed name are told only by the door itself.

import { WarrenError } from '../../protocol/error.ts';
import type { CheckResult } from '../../protocol/policy.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import { chooseProtocol } from '../flow/classify.ts';
import { canonicalHost, parsePort } from '../names/canonical-host.ts';
import { entryWords } from './find-rules.ts';
import type { RuledPolicy } from './judge.ts';
import { closedReason } from './reason.ts';
import { HOST_SERVICE_NAME } from './rule.ts';
import type { RequestHead, RequestVerdict, Target } from './verdict.ts';

type Checked = Omit<CheckResult, 'remedy'>;

const SCHEMES = new Map([
  ['https', 'https'],
  ['wss', 'https'],
  ['http', 'http'],
  ['ws', 'http'],
] as const);
/** As clients of the web offer them. */
const ALPN = ['h2', 'http/1.1'];

/**
 * `what`: `https://example.com/path`, `example.com` or `example.com:8443`. `closedHostPorts`: of this computer, which no
 * rule opens. Throws `usage.target`.
 */
export function checkAccess(
  policy: RuledPolicy,
  what: string,
  method: string,
  closedHostPorts: ReadonlySet<number> = new Set(),
): Checked {
  const [, scheme, authority = '', path = ''] =
    /^(?:([A-Za-z][A-Za-z0-9+.-]*):\/\/)?([^/?#]*)(.*)$/s.exec(what) ?? [];
  const spoken = scheme === undefined ? null : SCHEMES.get(scheme.toLowerCase() as 'http');
  if (spoken === undefined)
    throw wrong(
      what,
      `nothing is known of "${sanitizeLine(scheme!, 20)}"`,
      'http, https, ws and wss are known',
    );
  const target = targetOf(what, authority, spoken === 'http' ? 80 : 443);
  if (
    target.host.kind === 'name' &&
    target.host.name === HOST_SERVICE_NAME &&
    closedHostPorts.has(target.port)
  )
    return { decision: 'deny', ruleId: null, reason: closedReason(target.port), allowWith: null };
  if (!/^[A-Z]{1,20}$/.test(method))
    throw wrong(
      what,
      `${JSON.stringify(sanitizeLine(method, 40))} is no method`,
      'name one such as GET: --method GET',
    );
  const head = {
    method,
    path: path.startsWith('/') ? path.replace(/#.*$/s, '') : `/${path.replace(/#.*$/s, '')}`,
    headers: [],
  };
  return resultOf(judgeAccess(policy, target, spoken, head));
}

/** `spoken`: null where it is not known; then it is what the policy lets through, rather requests than what nobody reads. */
export function judgeAccess(
  policy: Pick<RuledPolicy, 'judgeFlow' | 'judgeConnection' | 'judgeRequest'>,
  target: Target,
  spoken: 'http' | 'https' | null,
  head: RequestHead,
): RequestVerdict {
  const flow = policy.judgeFlow(target);
  if (flow.decision !== 'allow') {
    if (flow.decision === 'ask' || flow.ruleId !== null) return flow;
    // What would allow it depends on what is spoken.
    const asked = policy.judgeRequest(target, spoken ?? (target.port === 80 ? 'http' : 'https'), head);
    return 'allowWith' in asked ? { ...flow, allowWith: asked.allowWith } : flow;
  }
  const { protocols } = flow;
  const isClear =
    spoken === 'http' ||
    (spoken === null && (protocols.includes('http') ? !protocols.includes('https') : target.port === 80));
  const said = isClear
    ? ({ kind: 'http' } as const)
    : ({ kind: 'tls', serverName: null, alpn: ALPN } as const);
  const protocol = chooseProtocol(said, protocols, target.port);
  return protocol === 'http' || protocol === 'https'
    ? policy.judgeRequest(target, protocol, head)
    : policy.judgeConnection(target, protocol);
}

function targetOf(what: string, authority: string, usualPort: number): Target {
  if (authority.includes('@')) throw wrong(what, 'it names a user');
  const [, hostText = '', portText] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(authority) ?? [];
  const host = canonicalHost(hostText);
  if ('refused' in host) throw wrong(what, host.refused);
  const port = portText === undefined ? usualPort : parsePort(portText);
  if (port === null) throw wrong(what, 'its port is not a number from 1 to 65535');
  return { host, port };
}

function resultOf(verdict: RequestVerdict): Checked {
  const { decision, ruleId } = verdict;
  if (verdict.decision === 'allow') return { decision, ruleId, reason: null, allowWith: null };
  return {
    decision,
    ruleId,
    reason: verdict.reason,
    allowWith: verdict.allowWith && entryWords(verdict.allowWith),
  };
}

function wrong(
  what: string,
  why: string,
  known = 'give a URL or a host, such as https://example.com/path or example.com:8443',
): WarrenError {
  return new WarrenError({
    code: 'usage.target',
    message: `cannot check ${JSON.stringify(sanitizeLine(what, 200))}: ${why}`,
    remedy: known,
  });
}
