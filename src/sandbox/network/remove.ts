// Takes rules of a sandbox or a project away: those that mean what was typed, else the only one that is about that host.

import { canonicalHost } from '../../egress/names/canonical-host.ts';
import { whereText } from '../../egress/policy/entry.ts';
import { entriesMeant, entryWords, meaningOf, servicesMeant } from '../../egress/policy/find-rules.ts';
import { withoutEntries } from '../../egress/policy/lists.ts';
import type { Entry, Ruleset } from '../../egress/policy/rule.ts';
import { rulesAbout } from '../../egress/policy/rule-index.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { RulesRequest, RulesResult } from '../../protocol/policy.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import type { Conductor } from '../conductor.ts';
import type { Sandbox } from '../sandboxes.ts';
import { editRules } from './edit-rules.ts';
import { policyOf } from './policy.ts';

const MAX_TOLD = 8;

/** Nothing to take away is told in a notice. Throws `usage.policy` when it is not clear which rule is meant. */
export async function removeRules(
  conductor: Conductor,
  sandbox: Sandbox,
  request: RulesRequest,
): Promise<RulesResult> {
  const { effect, scope } = request;
  const { name } = sandbox.record;
  const missed: string[] = [];
  const changed = await editRules(conductor, sandbox, scope, { effect, removed: true }, (rules) => {
    const wanted: [string, Entry[]][] = [
      ...request.hosts.map((host): [string, Entry[]] => [
        host,
        entriesMeant(rules[effect], effect, host, request),
      ]),
      ...request.hostServices.map((port): [string, Entry[]] => [
        `host.warren.internal:${port}`,
        servicesMeant(rules[effect], port),
      ]),
    ];
    for (const [what, meant] of wanted) {
      if (meant.length === 0) missed.push(what);
      const meanings = new Set(meant.map((entry) => meaningOf(entry, effect)));
      if (meanings.size > 1 && !isService(what)) throw unclear(what, meant, name, request);
    }
    return withoutEntries(rules, effect, new Set(wanted.flatMap(([, meant]) => meant)));
  });
  if (missed.length === 0) return { changed, notices: [] };
  const { rulesets } = await policyOf(conductor.rooms.layout, sandbox.record);
  return { changed, notices: missed.flatMap((what) => others(what, rulesets)) };
}

function isService(what: string): boolean {
  return what.startsWith('host.warren.internal:');
}

function unclear(
  what: string,
  meant: readonly Entry[],
  name: string,
  { effect, scope }: RulesRequest,
): WarrenError {
  const words = meant.map(entryWords);
  const shown = meant.slice(0, MAX_TOLD).map((entry, at) => words[at] ?? JSON.stringify(entry));
  const flags = `${effect === 'deny' ? ' --deny' : ''}${scope === 'project' ? ' --project' : ''}`;
  const first = words.find((each) => each !== null && each !== what);
  return new WarrenError({
    code: 'usage.policy',
    message: `cannot remove a rule about ${JSON.stringify(sanitizeLine(what, 200))}: there are ${meant.length}: ${sanitizeLine(shown.join('; '), 600)}`,
    remedy: `say which, such as: warren policy rm ${name} ${first ?? words[0] ?? `HOST${flags}`}${flags}`,
  });
}

/** What is in force about the host, by the names of its rules, which say where they are written. */
function others(what: string, rulesets: readonly Ruleset[]): string[] {
  const [, name = what] = /^(.*?)(?::\d{1,5})?$/s.exec(what) ?? [];
  const host = canonicalHost(name);
  const rules = rulesets.flatMap((ruleset) => ruleset.rules);
  const about =
    'refused' in host ? rules.filter(({ where }) => whereText(where) === name) : rulesAbout(rules, host);
  if (about.length === 0) return [];
  const ids = about.slice(0, MAX_TOLD).map(({ id }) => id + flagsOf(id));
  const more = about.length > MAX_TOLD ? `, and ${about.length - MAX_TOLD} more` : '';
  return [`about ${sanitizeLine(name, 200)} there is: ${sanitizeLine(ids.join(', '), 800)}${more}`];
}

/** With which such a rule can be taken away; none where it is written by hand, or by nobody. */
function flagsOf(id: string): string {
  const flags = [/^\w+:deny\[/.test(id) && '--deny', id.startsWith('answer:') && '--project'].filter(Boolean);
  return /^(?:sandbox|answer):/.test(id) && flags.length > 0 ? ` (${flags.join(' ')})` : '';
}
