// How a person allows what was denied, as lines to paste.

import { entryWords } from './find-rules.ts';
import type { Asked, Denied } from './verdict.ts';

/** `name`: of a sandbox; null: of a machine that nobody names, such as a builder. */
export function denialHint(name: string | null, verdict: Denied | Asked): string[] {
  const { allowWith } = verdict;
  if (allowWith === null) return [];
  const words = name === null ? null : entryWords(allowWith);
  if (words !== null) return [`warren policy allow ${name} ${words}`];
  return [`allow it in warren.json, "egress": {"allow": [${JSON.stringify(allowWith)}]}`];
}
