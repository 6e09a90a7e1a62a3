// What a repository's `warren.json` asks for, an entry a line, so that a person sees what a change of it adds and takes
// away. Pure. Its words come from the repository, or from a guest.

import type { TrustView } from '../protocol/policy.ts';
import { sanitizeLine } from '../protocol/sanitize.ts';

const MAX_CHARS = 300;
/** More is not read but scrolled past. */
const MAX_LINES = 200;

/** With `+` and `-` in front of what differs from what was trusted before; what is new stands first, out of any crowd. */
export function trustLines({ asks, trusted }: Pick<TrustView, 'asks' | 'trusted'>): string[] {
  const now = entries(asks);
  if (trusted === null) return cut(now.map((line) => `  ${line}`));
  const before = entries(trusted);
  const [had, has] = [new Set(before), new Set(now)];
  return cut([
    ...now.filter((line) => !had.has(line)).map((line) => `+ ${line}`),
    ...before.filter((line) => !has.has(line)).map((line) => `- ${line}`),
    ...now.filter((line) => had.has(line)).map((line) => `  ${line}`),
  ]);
}

function cut(lines: string[]): string[] {
  if (lines.length <= MAX_LINES) return lines;
  const left = lines.length - MAX_LINES;
  return [...lines.slice(0, MAX_LINES), `and ${left} more lines: READ warren.json BEFORE YOU SAY YES`];
}

function entries({ network, egress }: TrustView['asks']): string[] {
  const lines = network === undefined ? [] : [`network ${JSON.stringify(network)}`];
  for (const [key, value] of Object.entries(egress ?? {}))
    for (const each of Array.isArray(value) ? value : [value]) lines.push(`${key} ${JSON.stringify(each)}`);
  return lines.map((line) => sanitizeLine(line, MAX_CHARS));
}
