// How a person allows what was denied, as lines to paste.

import type { Asked, Denied } from './verdict.ts';

/** `name`: of a sandbox; null: of a machine that nobody names, such as a builder. */
export function denialHint(name: string | null, verdict: Denied | Asked): string[] {
  if (!('allowWith' in verdict) || verdict.allowWith === null) return [];
  const { allowWith } = verdict;
  if (name !== null) return [`warren policy allow ${name} ${allowWith}`];
  const [where = ''] = allowWith.split(' ');
  const [, host, port] = /^(.*?)(?::(\d+))?$/.exec(where)!;
  const entry = allowWith.endsWith(' --private')
    ? { host, ...(port && { ports: [Number(port)] }), allowPrivate: true }
    : where;
  return [`allow it in warren.json, "egress": {"allow": [${JSON.stringify(entry)}]}`];
}
