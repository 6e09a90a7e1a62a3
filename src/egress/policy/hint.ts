// How a person allows what was denied, as lines to paste.

import type { Asked, Denied } from './verdict.ts';

/** `name`: of a sandbox; null: of a machine that nobody names, such as a builder. */
export function denialHint(name: string | null, verdict: Denied | Asked): string[] {
  if (!('allowWith' in verdict) || verdict.allowWith === null) return [];
  return name === null
    ? [`allow it in warren.json, "egress": {"allow": [${JSON.stringify(verdict.allowWith.split(' ')[0])}]}`]
    : [`warren policy allow ${name} ${verdict.allowWith}`];
}
