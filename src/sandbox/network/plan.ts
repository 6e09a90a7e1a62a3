// The network of a new sandbox, and what it has in short.

import { readdir } from 'node:fs/promises';
import { createPolicy } from '../../egress/policy/judge.ts';
import { profilesFor } from '../../egress/policy/profiles.ts';
import type { Network } from '../../egress/policy/rule.ts';
import { followed } from '../../egress/policy/trust.ts';
import type { Layout } from '../../host/layout.ts';
import type { NetworkView } from '../../protocol/api.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { Conductor } from '../conductor.ts';
import type { Sandbox } from '../sandboxes.ts';
import { policyOf, projectPolicy, userPolicy } from './policy.ts';
import { type RulesFile, writeRulesFile } from './rules-file.ts';
import { waySettings } from './way.ts';

/** Of the built-in environment, which is Debian. */
const ENVIRONMENT_PROFILES = ['apt'];

/** Throws `usage.policy` when the repository's policy or the user's is wrong: better mended before there is a sandbox. */
export async function planNetwork(
  layout: Layout,
  repository: { root: string } | null,
  network: Network | null,
): Promise<RulesFile> {
  if (repository) await projectPolicy(layout, repository.root);
  await userPolicy(layout);
  const files = repository ? await readdir(repository.root) : [];
  const fitting = [...new Set([...profilesFor(files), ...ENVIRONMENT_PROFILES])];
  return { version: 1, network, fitting, allow: [], deny: [] };
}

/**
 * What a repository's policy asks for and gets without anybody's trust is kept as if it had that: who takes away its
 * `none` or its denials later, asks for more. To be called by one at a time for each repository.
 */
export async function keepWhatNeedsNoTrust(
  layout: Layout,
  { root }: { root: string },
  { fitting = [] }: Pick<RulesFile, 'fitting'>,
): Promise<void> {
  const { now, said, file } = await projectPolicy(layout, root);
  if (said.trusted || followed(now, null, fitting).state !== 'trusted') return;
  await writeRulesFile(file, { ...said, trusted: now });
}

export async function networkView(conductor: Conductor, { record }: Sandbox): Promise<NetworkView> {
  const doorPid = conductor.doors.pid(record.id) ?? null;
  try {
    const { rulesets, trust } = await policyOf(conductor.rooms.layout, record);
    await waySettings();
    const rules = rulesets.flatMap((ruleset) => ruleset.rules);
    return {
      mode: createPolicy(rulesets).network,
      profiles: [...new Set(rulesets.flatMap(({ profiles }) => profiles ?? []))],
      rules: rules.filter(({ id }) => !id.startsWith('profile:')).length,
      trust,
      broken: null,
      remedy: null,
      doorPid,
    };
  } catch (error) {
    const { message: broken, remedy = null } = WarrenError.from(error);
    const kept = conductor.doors.inForce(record.id);
    const mode = kept ? createPolicy(kept.rulesets).network : 'none';
    return { mode, profiles: [], rules: 0, trust: 'absent', broken, remedy, doorPid };
  }
}
