// `warren policy show`, `allow`, `deny`, `rm`, `check`, `learn`, `trust`, `watch`.

import * as calls from '../../client/policy.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { AskView, RuleView } from '../../protocol/policy.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import { askKey } from '../ask-key.ts';
import { ANSWER_KEYS, describeQuestion } from '../asking.ts';
import { withClient } from '../context.ts';
import { dim, print, printJson, say } from '../terminal.ts';
import { table } from './ls.ts';
import { describeNetwork } from './up.ts';

export async function show(name: string, flags: { json?: boolean }): Promise<void> {
  const view = await withClient((client) => calls.showPolicy(client.transport, name));
  if (flags.json) return printJson(view);
  say(describeNetwork(view.network, name));
  if (view.network.trust === 'new' || view.network.trust === 'changed')
    say(`warren.json asks for more than it gets: warren policy trust ${name}`);
  if (view.rules.length > 0) print(table(['', 'WHERE', 'WHAT', 'RULE'], view.rules.map(ruleRow)));
  const { sandbox, project, repository, user } = view.files;
  for (const file of [sandbox, project, repository, user]) if (file !== null) say(dim(`  ${file}`));
}

export interface RuleFlags {
  tcp?: boolean;
  tlsPassthrough?: boolean;
  http?: boolean;
  method: string[];
  path: string[];
  hostService: string[];
  private?: boolean;
  project?: boolean;
}

export async function rule(
  effect: 'allow' | 'deny',
  remove: boolean,
  name: string,
  hosts: string[],
  flags: RuleFlags,
): Promise<void> {
  const hostServices = flags.hostService.map(portOf);
  if (hosts.length === 0 && hostServices.length === 0)
    throw new WarrenError({
      code: 'usage.policy',
      message: `cannot ${effect} nothing: name a host`,
      remedy: `warren policy ${effect} ${name} example.com`,
    });
  const spoken = (['tcp', 'tlsPassthrough', 'http'] as const).filter((flag) => flags[flag]);
  if (spoken.length > 1)
    throw new WarrenError({
      code: 'usage.policy',
      message: 'cannot use more than one of --tcp, --tls-passthrough and --http',
    });
  const { changed, notices } = await withClient((client) =>
    calls.changeRules(client.transport, name, {
      effect,
      scope: flags.project ? 'project' : 'sandbox',
      remove,
      hosts,
      hostServices,
      protocol: spoken[0] === 'tlsPassthrough' ? 'tls-passthrough' : (spoken[0] ?? null),
      methods: flags.method.map((method) => method.toUpperCase()),
      paths: flags.path,
      allowPrivate: flags.private === true,
    }),
  );
  const whom = flags.project ? 'all sandboxes of this project' : `sandbox "${name}"`;
  const how = remove ? 'no such rule any more' : effect === 'allow' ? 'allowed' : 'denied';
  if (changed.length === 0) say(remove ? 'there is no such rule' : `already ${how} for ${whom}`);
  for (const entry of changed) say(`${how} for ${whom}: ${sanitizeLine(JSON.stringify(entry), 300)}`);
  for (const notice of notices) say(`  notice: still ${sanitizeLine(notice, 300)}`);
}

export async function check(
  name: string,
  what: string,
  flags: { method: string; json?: boolean },
): Promise<number> {
  const result = await withClient((client) =>
    calls.checkPolicy(client.transport, name, what, flags.method.toUpperCase()),
  );
  const { decision, ruleId, reason, allowWith } = result;
  if (flags.json) printJson(result);
  else {
    print(
      sanitizeLine(`${decision}: ${reason ?? (ruleId ? `by rule ${ruleId}` : 'a rule is about it')}`, 500),
    );
    if (allowWith !== null) say(`  try: warren policy allow ${name} ${sanitizeLine(allowWith, 300)}`);
  }
  return decision === 'allow' ? 0 : 1;
}

export async function learn(name: string, flags: { json?: boolean }): Promise<void> {
  const proposal = await withClient((client) => calls.proposeRules(client.transport, name));
  if (flags.json) return printJson(proposal);
  const { entries, left } = proposal;
  if (entries.length === 0) say('nothing was denied that a rule could allow');
  else {
    printJson({ egress: { allow: entries } });
    say(dim(`put what you want of it into warren.json, then: warren policy trust ${name}`));
  }
  for (const { host, why } of left) say(`left out: ${sanitizeLine(host, 300)}: ${sanitizeLine(why, 300)}`);
}

export async function trust(name: string, flags: { yes?: boolean; json?: boolean }): Promise<number> {
  return await withClient(async ({ transport }) => {
    const view = await calls.showTrust(transport, name);
    if (flags.json && !flags.yes) {
      printJson(view);
      return 0;
    }
    if (view.state === 'absent' || view.state === 'trusted') {
      say(view.state === 'absent' ? 'warren.json asks for no network' : 'warren.json is trusted as it is');
      return 0;
    }
    say(
      view.trusted === null
        ? 'warren.json asks for this network:'
        : 'warren.json has changed since it was trusted, and asks for this network:',
    );
    say(sanitizeLines(view.asks));
    if (!flags.yes && !isTerminal())
      throw new WarrenError({
        code: 'usage.no-terminal',
        message: 'cannot ask whether to trust it: this is not a terminal',
        remedy: `warren policy trust ${name} --yes`,
      });
    const yes = flags.yes || (await askKey('trust it? y yes, n no: ', 'yn')) === 'y';
    if (yes) await calls.giveTrust(transport, name, view.digest);
    say(yes ? 'trusted, as long as it stays as it is' : 'not trusted: only what was allowed before counts');
    return yes ? 0 : 1;
  });
}

export async function watch(name: string): Promise<void> {
  if (!isTerminal())
    throw new WarrenError({
      code: 'usage.no-terminal',
      message: 'cannot ask anybody: this is not a terminal',
      remedy: `warren policy allow ${name} HOST; warren audit ${name} --denied tells what was denied`,
    });
  await withClient(async ({ transport }) => {
    const leave = new AbortController();
    // While no question is shown, the terminal makes a signal of Ctrl-C.
    process.once('SIGINT', () => leave.abort());
    const waiting = new Map<number, AskView>();
    let wake = Promise.withResolvers<void>();
    let gone = new AbortController();
    const watching = calls
      .watchQuestions(
        transport,
        name,
        (pending) => {
          const ids = new Set(pending.map(({ id }) => id));
          for (const id of waiting.keys()) if (!ids.has(id)) waiting.delete(id);
          for (const question of pending) waiting.set(question.id, question);
          gone.abort();
          gone = new AbortController();
          wake.resolve();
        },
        leave.signal,
      )
      .catch((error: unknown) => {
        if (!leave.signal.aborted) throw error;
      });
    say(dim(`what sandbox "${name}" asks for is shown here; Ctrl-C ends`));
    const asking = (async () => {
      for (;;) {
        const question = waiting.values().next().value;
        if (!question) {
          wake = Promise.withResolvers();
          await wake.promise;
          continue;
        }
        for (const line of describeQuestion(question)) say(line);
        const keys = Object.keys(ANSWER_KEYS).join('');
        const key = await askKey(
          '  o once, s this sandbox, p this project, n no, v never: ',
          keys,
          gone.signal,
        );
        if (key === null) continue;
        waiting.delete(question.id);
        const waited = await calls.answerQuestion(transport, name, question.id, ANSWER_KEYS[key]!);
        say(dim(waited ? `  ${ANSWER_KEYS[key]}` : '  that was too late'));
      }
    })();
    try {
      await Promise.race([watching, asking]);
    } catch (error) {
      if (WarrenError.from(error).code !== 'usage.cancelled') throw error;
    } finally {
      leave.abort();
    }
  });
}

function ruleRow({
  effect,
  where,
  speaks,
  methods,
  paths,
  git,
  allowPrivate,
  id,
  comment,
}: RuleView): string[] {
  const what = [
    speaks.join(' '),
    methods?.join(','),
    paths?.join(' '),
    git && (git.push === null ? 'git fetch' : `git push ${git.push}`),
    allowPrivate && 'private addresses',
  ].filter((each) => each);
  const named = comment === null ? id : `${id} (${comment})`;
  return [effect, where, what.join('; ') || 'everything', named].map((text) => sanitizeLine(text, 200));
}

function sanitizeLines(value: unknown): string {
  return JSON.stringify(value, null, 2)
    .split('\n')
    .map((line) => `  ${sanitizeLine(line, 300)}`)
    .join('\n');
}

function portOf(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new WarrenError({
    code: 'usage.port',
    message: `cannot use ${JSON.stringify(text.slice(0, 80))}: it is no port`,
    remedy: 'give a number from 1 to 65535',
  });
}

export function isTerminal(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}
