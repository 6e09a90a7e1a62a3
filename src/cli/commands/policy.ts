// `warren policy show`, `allow`, `deny`, `rm`, `check`, `learn`.

import * as calls from '../../client/policy.ts';
import { WarrenError } from '../../protocol/error.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import { withClient } from '../context.ts';
import { describeNetwork, waitsForTrust } from '../describe-network.ts';
import { ruleLines } from '../rule-lines.ts';
import { dim, plural, print, printJson, say } from '../terminal.ts';

export async function show(name: string, flags: { json?: boolean }): Promise<void> {
  const view = await withClient((client) => calls.showPolicy(client.transport, name));
  if (flags.json) return printJson(view);
  say(describeNetwork(view.network, name));
  const waits = waitsForTrust(view.network, name);
  if (waits !== null) say(waits);
  const { broken, remedy, doorPid } = view.network;
  if (broken !== null && remedy) say(`  try: ${sanitizeLine(remedy, 300)}`);
  if (broken !== null && doorPid !== null) say('  its door, which runs, keeps to what counted before');
  for (const line of ruleLines(view, process.stdout.isTTY ? process.stdout.columns : null)) print(line);
}

export interface RuleFlags {
  tcp?: boolean;
  tlsPassthrough?: boolean;
  http?: boolean;
  method: string[];
  path: string[];
  gitFetch?: boolean;
  gitPush?: string;
  hostService?: string[];
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
  const hostServices = (flags.hostService ?? []).map(portOf);
  if (hosts.length === 0 && hostServices.length === 0)
    throw new WarrenError({
      code: 'usage.policy',
      message: `cannot ${remove ? 'remove' : effect} nothing: name a host`,
      remedy: `warren policy ${remove ? 'rm' : effect} ${name} example.com`,
    });
  const spoken = (['tcp', 'tlsPassthrough', 'http'] as const).filter((flag) => flags[flag]);
  if (spoken.length > 1)
    throw new WarrenError({
      code: 'usage.policy',
      message: 'cannot use more than one of --tcp, --tls-passthrough and --http',
      remedy: `choose one: warren policy ${remove ? 'rm' : effect} ${name} ${hosts[0] ?? 'example.com'}:8080 --tcp`,
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
      git:
        flags.gitFetch || flags.gitPush !== undefined
          ? { fetch: flags.gitFetch === true, push: flags.gitPush ?? null }
          : null,
      allowPrivate: flags.private === true,
    }),
  );
  const whom = flags.project ? 'all sandboxes of this project' : `sandbox "${name}"`;
  const how = remove ? 'no such rule any more' : effect === 'allow' ? 'allowed' : 'denied';
  const none = `there is no such rule of ${whom}; warren policy show ${name} lists all`;
  if (changed.length === 0) say(remove ? none : `already ${how} for ${whom}`);
  for (const entry of changed) say(`${how} for ${whom}: ${sanitizeLine(JSON.stringify(entry), 300)}`);
  for (const notice of notices) say(`  notice: ${remove ? '' : 'still '}${sanitizeLine(notice, 1000)}`);
}

export async function check(
  name: string,
  what: string,
  flags: { method: string; json?: boolean },
): Promise<number> {
  const result = await withClient((client) =>
    calls.checkPolicy(client.transport, name, what, flags.method.toUpperCase()),
  );
  const { decision, ruleId, reason, remedy } = result;
  if (flags.json) printJson(result);
  else {
    print(sanitizeLine(`${decision}: ${reason ?? `by rule ${ruleId}`}`, 500));
    if (remedy !== null) say(`  try: ${sanitizeLine(remedy, 500)}`);
  }
  return decision === 'allow' ? 0 : 1;
}

export async function learn(name: string, flags: { json?: boolean }): Promise<void> {
  const proposal = await withClient((client) => calls.proposeRules(client.transport, name));
  if (flags.json) return printJson(proposal);
  const { entries, egress, keeps, left } = proposal;
  if (entries.length === 0) say('nothing was denied that a rule could allow');
  else {
    printJson({ egress });
    const kept =
      keeps && { file: ', what is there with it', profiles: ', the profiles that fit with it' }[keeps];
    const what = `${plural(entries.length, 'new rule')}; this is the whole "egress" of warren.json${kept ?? ''}`;
    say(dim(`${what}: put it there, then: warren policy trust ${name}`));
  }
  for (const { host, why } of left) say(`left out: ${sanitizeLine(host, 300)}: ${sanitizeLine(why, 300)}`);
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
