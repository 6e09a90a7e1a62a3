// Of what was denied, what to write into `warren.json`.

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuditRecord } from '../../egress/audit/chain.ts';
import { readAudit } from '../../egress/audit/read.ts';
import { inBrackets } from '../../egress/names/address.ts';
import { canonicalHost } from '../../egress/names/canonical-host.ts';
import { judgeAccess } from '../../egress/policy/check.ts';
import { createPolicy, type RuledPolicy } from '../../egress/policy/judge.ts';
import { parsePolicy } from '../../egress/policy/parse.ts';
import { gitOf, proposeRules, wholeEgress } from '../../egress/policy/propose.ts';
import type { PolicyKeys } from '../../egress/policy/trust.ts';
import type { FlowVerdict, RequestVerdict } from '../../egress/policy/verdict.ts';
import { doorFiles, sandboxFiles } from '../../host/layout.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { ProposalView } from '../../protocol/policy.ts';
import type { Conductor } from '../conductor.ts';
import type { Sandbox } from '../sandboxes.ts';
import { policyOf, projectPolicy } from './policy.ts';

/** A proposal is made of the newest of these. */
const MAX_DENIED = 100_000;

/** Of what the audit holds, without what is allowed by now, or would be if all of `warren.json` counted. */
export async function propose(conductor: Conductor, { record }: Sandbox): Promise<ProposalView> {
  const { layout } = conductor.rooms;
  const root = record.repository?.root;
  if (root !== undefined) await refuseEmpty(join(root, 'warren.json'), record.name);
  const { rulesets, fitting } = await policyOf(layout, record);
  const now: PolicyKeys = root === undefined ? {} : (await projectPolicy(layout, root)).now;
  const trusted = parsePolicy({ egress: now.egress ?? {} }, { source: 'project', file: 'warren.json' });
  const policy = createPolicy([...rulesets, trusted]);
  const denied: AuditRecord[] = [];
  for await (const event of readAudit(doorFiles(sandboxFiles(layout, record.id).folder).audit)) {
    if (event.decision === 'allow') continue;
    const verdict = verdictNow(policy, event);
    if (verdict?.decision === 'allow') continue;
    // What somebody has denied since then is not proposed.
    denied.push(
      verdict?.decision === 'deny' && verdict.ruleId ? { ...event, ruleId: verdict.ruleId } : event,
    );
    if (denied.length >= 2 * MAX_DENIED) denied.splice(0, MAX_DENIED);
  }
  const { entries, left } = proposeRules(denied.slice(-MAX_DENIED));
  const there = now.egress === undefined ? null : ((now.egress ?? {}) as Record<string, unknown>);
  const keeps = there ? 'file' : fitting.length > 0 ? 'profiles' : null;
  return { egress: wholeEgress(there, fitting, entries), keeps, entries, left };
}

function verdictNow(policy: RuledPolicy, event: AuditRecord): FlowVerdict | RequestVerdict | null {
  if (event.port === null || event.kind === 'dns' || event.kind === 'notice') return null;
  const host = canonicalHost(inBrackets(event.host));
  if ('refused' in host) return null;
  const target = { host, port: event.port };
  if (event.kind === 'flow') return policy.judgeFlow(target);
  const { method } = event;
  const git = gitOf(event);
  // The query is not written down.
  const service = git?.kind === 'push' ? 'git-receive-pack' : 'git-upload-pack';
  const path = git && method === 'GET' ? `${event.path}?service=${service}` : event.path;
  return judgeAccess(policy, target, event.protocol, { method, path, headers: [] });
}

/** A shell empties the file that it writes to before the command begins. */
async function refuseEmpty(file: string, name: string): Promise<void> {
  const found = await stat(file).catch(() => null);
  if (found?.size !== 0) return;
  throw new WarrenError({
    code: 'usage.settings',
    message: `cannot propose rules: ${file} is empty, as a shell makes a file that it writes to`,
    remedy: `bring it back, or remove it, and write to another file: warren policy learn ${name} > learned.json`,
  });
}
