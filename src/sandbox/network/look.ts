// Looks at the policy of a sandbox: all of it, what it would say, what would allow what was denied.

import { join } from 'node:path';
import { vetAddresses } from '../../egress/names/vetting.ts';
import { checkAccess } from '../../egress/policy/check.ts';
import { whereText } from '../../egress/policy/entry.ts';
import { createPolicy } from '../../egress/policy/judge.ts';
import { closedReason } from '../../egress/policy/reason.ts';
import type { Rule } from '../../egress/policy/rule.ts';
import { doorFiles, projectFiles, sandboxFiles } from '../../host/layout.ts';
import type { CheckResult, PolicyView, RuleView } from '../../protocol/policy.ts';
import type { Conductor } from '../conductor.ts';
import type { Sandbox } from '../sandboxes.ts';
import { networkView } from './plan.ts';
import { policyOf } from './policy.ts';
import { remedyFor } from './remedy.ts';

export async function policyView(conductor: Conductor, sandbox: Sandbox): Promise<PolicyView> {
  const { layout } = conductor.rooms;
  const { record } = sandbox;
  const network = await networkView(conductor, sandbox);
  const rulesets = network.broken === null ? (await policyOf(layout, record)).rulesets : [];
  const { closedHostPorts } = conductor.rooms;
  return {
    name: record.name,
    network,
    rules: rulesets.flatMap(({ rules }) => rules.map((rule) => ruleView(rule, closedHostPorts))),
    files: policyFiles(conductor, sandbox),
  };
}

export function policyFiles({ rooms: { layout } }: Conductor, { record }: Sandbox): PolicyView['files'] {
  const root = record.repository?.root;
  return {
    sandbox: doorFiles(sandboxFiles(layout, record.id).folder).policy,
    project: root === undefined ? null : projectFiles(layout, root).policy,
    repository: root === undefined ? null : join(root, 'warren.json'),
    user: join(layout.config, 'config.json'),
  };
}

/** Throws `usage.target`, and `usage.policy` or `usage.settings` when the policy cannot be used. */
export async function check(
  conductor: Conductor,
  sandbox: Sandbox,
  what: string,
  method: string,
): Promise<CheckResult> {
  const { rulesets } = await policyOf(conductor.rooms.layout, sandbox.record);
  const result = checkAccess(createPolicy(rulesets), what, method, conductor.rooms.closedHostPorts);
  const { name } = sandbox.record;
  return { ...result, remedy: remedyFor(name, result, rulesets, policyFiles(conductor, sandbox)) };
}

function ruleView(rule: Rule, closedHostPorts: ReadonlySet<number>): RuleView {
  const { ports, protocol } = rule.only;
  const speaks =
    rule.effect === 'allow'
      ? rule.speaks.flatMap((each) => each.ports.map((port) => `${each.protocol}:${port}`))
      : (ports ?? (protocol ? ['*'] : [])).map((port) => `${protocol ?? '*'}:${port}`);
  return {
    id: rule.id,
    effect: rule.effect,
    where: whereText(rule.where),
    speaks,
    methods: rule.methods && [...rule.methods],
    paths: rule.paths && [...rule.paths],
    git: rule.git,
    allowPrivate: rule.allowPrivate && !isPublic(rule.where),
    comment: rule.comment,
    never:
      rule.hostService !== null && closedHostPorts.has(rule.hostService)
        ? closedReason(rule.hostService)
        : null,
  };
}

/** A single address lets nothing private through by being public. */
function isPublic(where: Rule['where']): boolean {
  if (where.kind !== 'cidr' || where.cidr.text.includes('/')) return false;
  return vetAddresses([where.cidr.text], { allowPrivate: false, ownAddresses: [] }).usable.length > 0;
}
