// What a person does about a verdict of a policy: the command to paste, or the file to mend. Pure.

import type { Ruleset } from '../../egress/policy/rule.ts';
import { quoted } from '../../egress/policy/typed.ts';
import type { CheckResult, PolicyView } from '../../protocol/policy.ts';

/** Null where nothing is to be done. */
export function remedyFor(
  name: string,
  { ruleId, allowWith }: Pick<CheckResult, 'ruleId' | 'allowWith'>,
  rulesets: readonly Ruleset[],
  files: PolicyView['files'],
): string | null {
  if (allowWith !== null) return `warren policy allow ${name} ${allowWith}`;
  if (ruleId === 'network:none') {
    const source = rulesets.find(({ network }) => network === 'none')?.source;
    return source === 'sandbox' || source === undefined
      ? 'a sandbox keeps the network that it was made with; make another: warren up --network mediated --name OTHER'
      : `take "network": "none" out of ${source === 'user' ? files.user : files.repository}`;
  }
  const [, label = '', where = ''] = /^([\w-]+):deny\[\d+\]:(.*)$/s.exec(ruleId ?? '') ?? [];
  if (label === 'sandbox') return `warren policy rm ${name} ${quoted(where)} --deny`;
  if (label === 'answer') return `warren policy rm ${name} ${quoted(where)} --deny --project`;
  if (label === 'user') return `take it out of "deny" in ${files.user}`;
  if (label === 'project')
    return `take it out of "deny" in ${files.repository}, then: warren policy trust ${name}`;
  return null;
}
