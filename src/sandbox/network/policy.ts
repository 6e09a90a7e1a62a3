// The policy of one sandbox, put together from its files: what was said for the sandbox, for its project, by the
// project's own `warren.json` as far as it is trusted, and by the user.

import { join } from 'node:path';
import { parsePolicy } from '../../egress/policy/parse.ts';
import type { Ruleset } from '../../egress/policy/rule.ts';
import { type Followed, followed, type PolicyKeys } from '../../egress/policy/trust.ts';
import { doorFiles, type Layout, projectFiles, sandboxFiles } from '../../host/layout.ts';
import type { SandboxRecord } from '../record.ts';
import { readSettings } from '../settings.ts';
import { type RulesFile, readRulesFile } from './rules-file.ts';

export interface EffectivePolicy {
  /** In the order of precedence. */
  rulesets: Ruleset[];
  trust: Followed['state'];
  /** In force because nothing else was said. */
  fitting: string[];
}

type Subject = Pick<SandboxRecord, 'id' | 'repository'>;

/** Reads all of it anew. Throws `usage.policy`, `usage.settings` or `sandbox.state-corrupt`: then nothing may go out. */
export async function policyOf(layout: Layout, { id, repository }: Subject): Promise<EffectivePolicy> {
  return await policyFrom(layout, doorFiles(sandboxFiles(layout, id).folder).policy, repository);
}

/** For any machine: `own` is the file of what was said for it alone. */
export async function policyFrom(
  layout: Layout,
  own: string,
  repository: { root: string } | null,
): Promise<EffectivePolicy> {
  const userFile = join(layout.config, 'config.json');
  const [sandbox, project, user] = await Promise.all([
    readRulesFile(own, { mustBe: true }),
    repository && projectPolicy(layout, repository.root),
    readSettings(userFile),
  ]);
  const fitting = sandbox.fitting ?? [];
  const file = repository ? join(repository.root, 'warren.json') : '';
  const { keys, state } = followed(project?.now ?? {}, project?.said.trusted ?? null, fitting);
  const rulesets = [
    parsePolicy(
      { ...(sandbox.network && { network: sandbox.network }), egress: listsOf(sandbox) },
      { source: 'sandbox', file: own },
    ),
    ...(project
      ? [
          parsePolicy(
            { egress: listsOf(project.said) },
            { source: 'project', file: project.file, label: 'answer' },
          ),
          parsePolicy(keys, { source: 'project', file }),
        ]
      : []),
    parsePolicy(policyKeys(user), { source: 'user', file: userFile }),
  ];
  const isSaid = keys.egress !== undefined || user.egress !== undefined;
  const isPlain = rulesets.every(({ network }) => network === null || network === 'mediated');
  if (isSaid || !isPlain) return { rulesets, trust: state, fitting: [] };
  rulesets.push(parsePolicy({ egress: { profiles: fitting } }, { source: 'user', file: own }));
  return { rulesets, trust: state, fitting };
}

/** What a project's `warren.json` says now and what was trusted of it. */
export async function projectPolicy(
  layout: Layout,
  root: string,
): Promise<{ now: PolicyKeys; said: RulesFile; file: string }> {
  const { policy } = projectFiles(layout, root);
  const file = join(root, 'warren.json');
  const now = policyKeys(await readSettings(file));
  // Wrong anywhere counts nowhere, trusted or not.
  parsePolicy(now, { source: 'project', file });
  return { now, said: await readRulesFile(policy), file: policy };
}

/** Throws `usage.policy` and `usage.settings` when the user's own settings cannot be used. */
export async function userPolicy(layout: Layout): Promise<Ruleset> {
  const file = join(layout.config, 'config.json');
  return parsePolicy(policyKeys(await readSettings(file)), { source: 'user', file });
}

function policyKeys({ network, egress }: PolicyKeys): PolicyKeys {
  return { ...(network !== undefined && { network }), ...(egress !== undefined && { egress }) };
}

/** Without a network, what was allowed once counts no more. */
function listsOf({ allow, deny, network }: RulesFile) {
  return { allow: network === 'none' ? [] : allow, deny };
}
