// Whether a request is within the limits of a rule that allows: its methods, its paths, what git may do. Pure.

import { gitRequest, isEncoded } from './git.ts';
import { matchesPath } from './path.ts';
import type { Rule } from './rule.ts';
import type { RequestHead } from './verdict.ts';

export const ONLY_FETCH = 'git may only fetch there';

/** Why the rule does not let it through, as part of a sentence. `unclear`: of its path. */
export function requestObjection(rule: Rule, head: RequestHead, unclear: string | null): string | null {
  if (rule.methods && !rule.methods.includes(head.method)) return `only ${rule.methods.join(', ')} may be`;
  if ((rule.paths || rule.git) && unclear) return `the path is ambiguous: ${unclear}`;
  if (rule.paths && !rule.paths.some((pattern) => matchesPath(pattern, head.path)))
    return `only ${rule.paths.slice(0, 3).join(', ')}${rule.paths.length > 3 ? ', …' : ''} may be`;
  if (!rule.git) return null;
  const kind = gitRequest(head);
  if (kind === 'fetch') return rule.git.fetch ? null : 'git may not fetch there';
  if (kind === null) return 'only git itself may use it';
  if (rule.git.push === null) return ONLY_FETCH;
  return isEncoded(head) ? 'the list of refs of a push must not be compressed' : null;
}
