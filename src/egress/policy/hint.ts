// How a person allows what was denied, as lines to paste.

import { entryFrom } from './typed.ts';
import type { Asked, Denied } from './verdict.ts';

/** `name`: of a sandbox; null: of a machine that nobody names, such as a builder. */
export function denialHint(name: string | null, verdict: Denied | Asked): string[] {
  if (!('allowWith' in verdict) || verdict.allowWith === null) return [];
  const { allowWith } = verdict;
  if (name !== null) return [`warren policy allow ${name} ${allowWith}`];
  const entry = entryFrom(allowWith);
  return [`allow it in warren.json, "egress": {"allow": [${JSON.stringify(entry)}]}`];
}
