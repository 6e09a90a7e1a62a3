// What a repository's `warren.json` asks for, an entry a line, so that a person sees what a change of it adds and takes
// away. Pure. Its words come from the repository, or from a guest.

import type { TrustView } from '../protocol/policy.ts';
import { sanitizeLine } from '../protocol/sanitize.ts';

const MAX_CHARS = 300;

/** With `+` and `-` in front of what differs from what was trusted before. */
export function trustLines({ asks, trusted }: Pick<TrustView, 'asks' | 'trusted'>): string[] {
  const now = entries(asks);
  if (trusted === null) return now.map((line) => `  ${line}`);
  const before = entries(trusted);
  return [
    ...before.filter((line) => !now.includes(line)).map((line) => `- ${line}`),
    ...now.map((line) => `${before.includes(line) ? ' ' : '+'} ${line}`),
  ];
}

function entries({ network, egress }: TrustView['asks']): string[] {
  const lines = network === undefined ? [] : [`network ${JSON.stringify(network)}`];
  for (const [key, value] of Object.entries(egress ?? {}))
    for (const each of Array.isArray(value) ? value : [value]) lines.push(`${key} ${JSON.stringify(each)}`);
  return lines.map((line) => sanitizeLine(line, MAX_CHARS));
}
