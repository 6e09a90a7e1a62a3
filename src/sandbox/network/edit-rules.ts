// Where rules that a person gives are written: of one sandbox, or of a project.

import { parsePolicy } from '../../egress/policy/parse.ts';
import type { Entry } from '../../egress/policy/rule.ts';
import { doorFiles, projectFiles, sandboxFiles } from '../../host/layout.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { RuleScope } from '../../protocol/policy.ts';
import type { Conductor } from '../conductor.ts';
import type { Sandbox } from '../sandboxes.ts';
import { type RulesFile, readRulesFile, writeRulesFile } from './rules-file.ts';

/** One change of a file of rules at a time: written down, then told to the doors that run. Answers what `change` says it changed. */
export async function editRules(
  conductor: Conductor,
  sandbox: Sandbox,
  scope: RuleScope,
  how: { effect: 'allow' | 'deny'; removed?: true },
  change: (rules: RulesFile) => { lists: RulesFile; changed: Entry[] },
): Promise<Entry[]> {
  const { layout } = conductor.rooms;
  const { id, repository } = sandbox.record;
  const file =
    scope === 'sandbox'
      ? doorFiles(sandboxFiles(layout, id).folder).policy
      : projectFiles(layout, rootOf(sandbox.record)).policy;
  const changed = await conductor.exclusively(
    `policy ${scope === 'sandbox' ? id : repository!.root}`,
    async () => {
      const { lists, changed } = change(await readRulesFile(file));
      parsePolicy({ egress: { allow: lists.allow, deny: lists.deny } }, { source: scope, file });
      if (changed.length > 0) await writeRulesFile(file, lists);
      return changed;
    },
  );
  if (changed.length > 0) {
    await conductor.journal(sandbox, 'policy-changed', { scope, ...how, entries: changed });
    await conductor.doors.policyChanged(({ record }) =>
      scope === 'sandbox' ? record.id === id : record.repository?.root === repository?.root,
    );
  }
  return changed;
}

/** Throws `sandbox.no-repository`. */
export function rootOf({ name, repository }: Sandbox['record']): string {
  if (repository) return repository.root;
  throw new WarrenError({
    code: 'sandbox.no-repository',
    message: `sandbox "${name}" has no repository, so it belongs to no project`,
    remedy: `for this sandbox alone: warren policy allow ${name} HOST`,
  });
}
