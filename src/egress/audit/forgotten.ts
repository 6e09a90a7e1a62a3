// What stays of records whose file goes: to whom anything was let through, how often, and how much was sent there. A
// guest can fill the audit with what is denied; what left shall not be forgotten for that. Limit: 64 hosts, those that
// got most.

import { openRecord } from './chain.ts';
import type { FlowEvent, NoticeEvent, RequestEvent, Through } from './event.ts';
import { linesOf } from './lines.ts';

export const FORGOTTEN = 'forgotten';
const MAX_HOSTS = 64;

type Forgotten = NonNullable<NoticeEvent['forgotten']>;

/** Of the file that goes, on top of what was told `before`; null when it holds no record. */
export async function forgottenWith(path: string, before: Forgotten | null): Promise<NoticeEvent | null> {
  const all = new Map<string, Through>();
  for (const each of before?.through ?? []) add(all, each);
  let { first, last, denied, others } = before ?? { first: 0, last: 0, denied: 0, others: 0 };
  for await (const { text } of linesOf(path)) {
    const record = openRecord(text, null);
    if ('broken' in record || record.seq <= last) continue;
    first ||= record.seq;
    last = record.seq;
    if (record.kind === 'dns' || record.kind === 'notice' || record.begun) continue;
    // What was broken off may have had its answer when a part of it was out.
    if (record.decision !== 'allow' && record.bytesUp === 0) denied += 1;
    else if (isSent(record)) add(all, [record.host, record.port, 1, record.bytesUp]);
  }
  if (last === 0) return null;
  const sorted = [...all.values()].sort(([, , a, up], [, , b, down]) => down - up || b - a);
  others += sorted.slice(MAX_HOSTS).reduce((sum, [, , times]) => sum + times, 0);
  const forgotten = { first, last, denied, others, through: sorted.slice(0, MAX_HOSTS) };
  const host = '';
  const reason = inWords(forgotten);
  return {
    kind: 'notice',
    code: FORGOTTEN,
    flow: null,
    host,
    port: null,
    decision: 'allow',
    ruleId: null,
    reason,
    forgotten,
  };
}

/** A request, or a flow into which nobody looks. */
function isSent(record: FlowEvent | RequestEvent): boolean {
  return record.kind === 'request' || (record.protocol !== 'http' && record.protocol !== 'https');
}

function add(all: Map<string, Through>, [host, port, times, bytesUp]: Through): void {
  const key = `${host}:${port}`;
  const [, , before, up] = all.get(key) ?? [host, port, 0, 0];
  all.set(key, [host, port, before + times, up + bytesUp]);
}

function inWords({ first, last, denied, others, through }: Forgotten): string {
  const hosts = through.map(
    ([host, port, times, up]) => `${host}${port === null ? '' : `:${port}`} ${times}× ↑${up}`,
  );
  if (others > 0) hosts.push(`others ${others}×`);
  return `records ${first} to ${last} are not kept; let through: ${hosts.join(', ') || 'nothing'}; denied: ${denied}`;
}
