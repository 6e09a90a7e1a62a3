// Policies out of rules, and what they answer.

import assert from 'node:assert/strict';
import { canonicalHost } from '../../src/egress/names/canonical-host.ts';
import { createPolicy, type RuledPolicy } from '../../src/egress/policy/judge.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';
import type { Source } from '../../src/egress/policy/rule.ts';
import type { FlowVerdict, RequestVerdict, Target } from '../../src/egress/policy/verdict.ts';

export const ruleset = (egress: unknown, source: Source = 'project', network?: unknown) =>
  parsePolicy({ egress, ...(network !== undefined && { network }) }, { source, file: `${source}.json` });
export const policy = (egress: unknown, network?: unknown) =>
  createPolicy([ruleset(egress, 'project', network)]);
export const to = (text: string, port = 443): Target => {
  const host = canonicalHost(text);
  assert.ok(!('refused' in host), text);
  return { host, port };
};
export const flow = (by: RuledPolicy, host: string, port = 443) => by.judgeFlow(to(host, port));
export const ask = (
  by: RuledPolicy,
  method: string,
  path: string,
  host = 'api.example',
  headers: [string, string][] = [],
) => by.judgeRequest(to(host), 'https', { method, path, headers });
export const reason = (verdict: FlowVerdict | RequestVerdict): string => {
  assert.ok(verdict.decision === 'deny');
  return verdict.reason;
};
