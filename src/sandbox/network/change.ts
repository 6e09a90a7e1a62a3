// What a person says about a policy: a rule for one sandbox or a whole project, an answer to a question of a door, and
// trust in what a repository's own `warren.json` asks for. Written down first, then told to the doors that run.

import { createHash } from 'node:crypto';
import { canonical } from '../../egress/policy/canonical.ts';
import { checkAccess } from '../../egress/policy/check.ts';
import { inCommandWords } from '../../egress/policy/command-words.ts';
import { createPolicy } from '../../egress/policy/judge.ts';
import { withEntries } from '../../egress/policy/lists.ts';
import { parsePolicy } from '../../egress/policy/parse.ts';
import { closedReason } from '../../egress/policy/reason.ts';
import type { Entry } from '../../egress/policy/rule.ts';
import { followed } from '../../egress/policy/trust.ts';
import { entryForQuestion, entryOf } from '../../egress/policy/write-entry.ts';
import { doorFiles, sandboxFiles } from '../../host/layout.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { Answer, RulesRequest, RulesResult, TrustView } from '../../protocol/policy.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import type { Conductor } from '../conductor.ts';
import type { Sandbox } from '../sandboxes.ts';
import { editRules, rootOf } from './edit-rules.ts';
import { policyFiles } from './look.ts';
import { policyOf, projectPolicy } from './policy.ts';
import { remedyFor } from './remedy.ts';
import { removeRules } from './remove.ts';
import { readRulesFile, writeRulesFile } from './rules-file.ts';

const MOVE_NAMES =
  'name the port of the service itself; stable names go elsewhere with "namesPort" in config.json';

/** Throws `usage.policy` for what can be no rule, or could not count. */
export async function changeRules(
  conductor: Conductor,
  sandbox: Sandbox,
  request: RulesRequest,
): Promise<RulesResult> {
  if (request.remove) return await removeRules(conductor, sandbox, request);
  const { name } = sandbox.record;
  const { effect, scope } = request;
  const entries: Entry[] = [
    ...request.hosts.map((host) => entryOf(host, request)),
    ...request.hostServices.map((hostService) => ({
      hostService,
      ...(request.protocol === 'http' && { protocol: 'http' as const }),
    })),
  ];
  try {
    parsePolicy({ egress: { [effect]: entries } }, { source: scope, file: 'this rule' });
  } catch (error) {
    throw inCommandWords(WarrenError.from(error), { name, effect, hosts: request.hosts });
  }
  const closed = request.hostServices.find((port) => conductor.rooms.closedHostPorts.has(port));
  if (closed !== undefined) throw refused(`--host-service ${closed}`, closedReason(closed), MOVE_NAMES);
  const changed = await editRules(conductor, sandbox, scope, { effect }, (rules) => {
    if (effect === 'allow' && rules.network === 'none')
      throw refused(
        JSON.stringify(sanitizeLine(String(request.hosts[0] ?? request.hostServices[0]), 200)),
        `sandbox "${name}" was made without a network (--network none)`,
        'make another that has one: warren up --network mediated --name OTHER',
      );
    return withEntries(rules, effect, entries);
  });
  return { changed, notices: effect === 'allow' ? await stillDenied(conductor, sandbox, request) : [] };
}

/**
 * Answers false when nobody waits for it any more; the rule is kept all the same. Throws `sandbox.question-gone` when it is
 * not known any more.
 */
export async function answerQuestion(
  conductor: Conductor,
  sandbox: Sandbox,
  id: number,
  answer: Answer,
): Promise<boolean> {
  const questions = conductor.doors.questions(sandbox.record.id);
  const asked = questions.find(id);
  if (!asked)
    throw new WarrenError({
      code: 'sandbox.question-gone',
      message: 'that question is not there any more: it was answered, or it is long over',
      remedy: `warren policy learn ${sandbox.record.name} tells what was denied`,
    });
  if (answer === 'sandbox' || answer === 'project' || answer === 'never') {
    const effect = answer === 'never' ? 'deny' : 'allow';
    const scope = answer === 'project' ? 'project' : 'sandbox';
    const entries = [entryForQuestion(asked)];
    await editRules(conductor, sandbox, scope, { effect }, (rules) => withEntries(rules, effect, entries));
  }
  await conductor.journal(sandbox, 'answered', { host: asked.host, port: asked.port, answer });
  return questions.answer(id, answer === 'no' || answer === 'never' ? 'no' : true);
}

/** Throws `sandbox.no-repository`, and `usage.policy` when `warren.json` cannot be used. */
export async function trustView(conductor: Conductor, { record }: Sandbox): Promise<TrustView> {
  const { layout } = conductor.rooms;
  const { now, said } = await projectPolicy(layout, rootOf(record));
  const { fitting = [] } = await readRulesFile(doorFiles(sandboxFiles(layout, record.id).folder).policy);
  const { state } = followed(now, said.trusted ?? null, fitting);
  return { state, digest: digestOf(now), asks: now, trusted: said.trusted ?? null };
}

/** `digest`: of what the person has seen. Throws `sandbox.policy-changed` when it is something else by now. */
export async function trust(conductor: Conductor, sandbox: Sandbox, digest: string): Promise<void> {
  const { layout } = conductor.rooms;
  const root = rootOf(sandbox.record);
  await conductor.exclusively(`policy ${root}`, async () => {
    const { now, said, file } = await projectPolicy(layout, root);
    if (digestOf(now) !== digest)
      throw new WarrenError({
        code: 'sandbox.policy-changed',
        message: 'cannot trust warren.json: it has changed since it was shown',
        remedy: `look at it again: warren policy trust ${sandbox.record.name}`,
      });
    await writeRulesFile(file, { ...said, trusted: now });
  });
  await conductor.journal(sandbox, 'policy-trusted', { digest });
  await conductor.doors.policyChanged(({ record }) => record.repository?.root === root);
}

/** A rule that allows is not enough where another denies. */
async function stillDenied(
  conductor: Conductor,
  sandbox: Sandbox,
  { hosts, methods }: RulesRequest,
): Promise<string[]> {
  const { rulesets } = await policyOf(conductor.rooms.layout, sandbox.record);
  const policy = createPolicy(rulesets);
  const files = policyFiles(conductor, sandbox);
  return hosts.flatMap((host) => {
    if (/[*/]/.test(host)) return [];
    const { decision, ruleId, reason, allowWith } = checkAccess(policy, host, methods[0] ?? 'GET');
    if (decision !== 'deny' || ruleId === null || reason === null) return [];
    const remedy = remedyFor(sandbox.record.name, { ruleId, allowWith }, rulesets, files);
    return [remedy === null ? reason : `${reason}; try: ${remedy}`];
  });
}

function refused(what: string, why: string, remedy: string): WarrenError {
  return new WarrenError({ code: 'usage.policy', message: `cannot allow ${what}: ${why}`, remedy });
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('hex');
}
