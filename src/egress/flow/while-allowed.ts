// What is open is judged again when the rules have changed: one that allowed it may have been taken away, or one that
// denies it put in. Looked at each second; costs nothing while the rules are the same.

import { vetAddresses } from '../names/vetting.ts';
import type { Allowed, RequestVerdict } from '../policy/verdict.ts';
import type { FlowContext } from './context.ts';

/** `end` gets the end of a sentence, once. Answers how to stop looking. A yes for once holds until a rule denies. */
export function whileAllowed(
  flow: FlowContext,
  begun: Allowed,
  judge: () => RequestVerdict,
  end: (why: string) => void,
): () => void {
  const { parts, limits } = flow.door;
  let known = parts.policy();
  const timer = setInterval(() => {
    const policy = parts.policy();
    if (policy === known) return;
    known = policy;
    const why = objection(flow, begun, judge());
    if (why === null) return;
    clearInterval(timer);
    end(`it was let through and then ended: ${why}`);
  }, limits.lookAgainMs).unref();
  return () => clearInterval(timer);
}

function objection(flow: FlowContext, begun: Allowed, now: RequestVerdict): string | null {
  const { door, target, upstream } = flow;
  const isOnce = begun.ruleId === 'asked';
  if (now.decision !== 'allow') return isOnce && now.ruleId === null ? null : now.reason;
  if (upstream === null || now.hostService !== undefined || door.parts.upstreamProxy) return null;
  const { allowPrivate, exactAddress } = now;
  const options = { allowPrivate, ownAddresses: [], ...(exactAddress !== undefined && { exactAddress }) };
  const [refused] = vetAddresses([upstream], options).refused;
  if (refused) return `${refused.address} may not be dialed any more: ${refused.why}`;
  return door.parts.policy().judgeAddress(target, upstream)?.reason ?? null;
}
