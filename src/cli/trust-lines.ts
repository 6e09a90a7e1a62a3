// What a repository's `warren.json` asks for, an entry a line, so that a person sees what a change of it adds and takes
// away. Pure. Its words come from the repository, or from a guest.

import type { TrustView } from '../protocol/policy.ts';
import { sanitizeLine } from '../protocol/sanitize.ts';

const MAX_CHARS = 300;
const MAX_COMMENT_CHARS = 100;
/** More is not read but scrolled past. */
const MAX_LINES = 200;
const READ = 'READ warren.json BEFORE YOU SAY YES';

/** With `+` and `-` in front of what differs from what was trusted before; what is new stands first, out of any crowd. */
export function trustLines({ asks, trusted }: Pick<TrustView, 'asks' | 'trusted'>): string[] {
  const now = entries(asks);
  if (trusted === null) return cut([...now.values()].map((line) => `  ${line}`));
  const before = entries(trusted);
  const lines = (all: Map<string, string>, mark: string, isMeant: (whole: string) => boolean) =>
    [...all].filter(([whole]) => isMeant(whole)).map(([, line]) => `${mark} ${line}`);
  return cut([
    ...lines(now, '+', (whole) => !before.has(whole)),
    ...lines(before, '-', (whole) => !now.has(whole)),
    ...lines(now, ' ', (whole) => before.has(whole)),
  ]);
}

function cut(lines: string[]): string[] {
  if (lines.length <= MAX_LINES) return lines;
  const left = lines.length - MAX_LINES;
  return [...lines.slice(0, MAX_LINES), `and ${left} more lines: ${READ}`];
}

/** By all that it says, an entry as it is shown. */
function entries({ network, egress }: TrustView['asks']): Map<string, string> {
  const found = new Map<string, string>();
  const note = (key: string, value: unknown) =>
    void found.set(`${key} ${JSON.stringify(value)}`, shown(key, value));
  if (network !== undefined) note('network', network);
  for (const [key, value] of Object.entries(egress ?? {}))
    for (const each of Array.isArray(value) ? value : [value]) note(key, each);
  return found;
}

/** What a repository says about a rule must not push the rule itself out of sight. */
function shown(key: string, value: unknown): string {
  const { comment, ...rule } = Object(value) as Record<string, unknown>;
  const isLong = typeof value === 'object' && typeof comment === 'string';
  const text = `${key} ${JSON.stringify(isLong ? { ...rule, comment: comment.slice(0, MAX_COMMENT_CHARS) } : value)}`;
  const line = sanitizeLine(text, MAX_CHARS);
  return text.length > MAX_CHARS ? `${line} ${READ}` : line;
}
