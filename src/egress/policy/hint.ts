// How a person allows what was denied, as lines to paste.

import type { Asked, Denied } from './verdict.ts';

export function denialHint(name: string, verdict: Denied | Asked): string[] {
  if (!('allowWith' in verdict) || verdict.allowWith === null) return [];
  return [`warren policy allow ${name} ${verdict.allowWith}`];
}
