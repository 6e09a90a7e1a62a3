// The judge: deny > session > sandbox > project > user > ask > no. What no rule lets through stays inside, and so does
// what a rule cannot decide on. Hosts come from `canonicalHost`, heads from the strict parsers; both were chosen by a
// guest.

import { isLoopback } from '../names/address.ts';
import { hostText } from '../names/canonical-host.ts';
import type { Host } from '../names/host.ts';
import { vetAddresses } from '../names/vetting.ts';
import { allowWith } from './allow-with.ts';
import { gitRequest } from './git.ts';
import { requestObjection } from './objection.ts';
import { ambiguity, matchesPath } from './path.ts';
import { deniedBy, nearly, nothingAllows, requestText, targetText } from './reason.ts';
import { type Entry, HOST_SERVICE_NAME, type Network, type Rule, type Ruleset, SOURCES } from './rule.ts';
import { RuleIndex } from './rule-index.ts';
import type {
  Allowed,
  Asked,
  Denied,
  FlowVerdict,
  Policy,
  Protocol,
  RequestHead,
  RequestVerdict,
  Target,
} from './verdict.ts';

/** What the door itself asks besides. */
export interface RuledPolicy extends Policy {
  readonly network: Network;
  /** Whether nothing at all may go to the name: then a DNS question for it gets NXDOMAIN. */
  deniesName(name: string): boolean;
  /** Whether a rule denies an address that an allowed name resolved to. Asked before it is dialed. */
  judgeAddress(target: Target, address: string): Denied | null;
}

const OPEN_PROTOCOLS: readonly Protocol[] = ['https', 'http', 'tls-passthrough', 'tcp'];

export function createPolicy(rulesets: readonly Ruleset[]): RuledPolicy {
  const ordered = SOURCES.flatMap((source) => rulesets.filter((ruleset) => ruleset.source === source));
  const rules = ordered.flatMap((ruleset) => ruleset.rules);
  const state: State = {
    network: networkOf(ordered),
    because:
      ordered.find(({ because }) => because)?.because ?? 'this sandbox has no network ("network": "none")',
    ask: ordered.some((ruleset) => ruleset.ask),
    denies: new RuleIndex(rules.filter((rule) => rule.effect === 'deny')),
    allows: new RuleIndex(rules.filter((rule) => rule.effect === 'allow')),
  };
  return {
    network: state.network,
    judgeFlow: (target) => judgeFlow(state, target),
    judgeConnection: (target, protocol) => judgeConnection(state, target, protocol),
    judgeRequest: (target, protocol, head) => judgeRequest(state, target, protocol, head),
    deniesName: (name) =>
      state.denies
        .about({ kind: 'name', name })
        .some((rule) => isWhole(rule) && rule.only.ports === null && rule.only.protocol === null),
    judgeAddress(target, address) {
      const rule = state.denies
        .aboutEmbedded(address)
        .find((each) => isWhole(each) && isAboutPort(each, target.port));
      return rule ? deniedBy(rule, `${hostText(target.host)} (${address})`) : null;
    },
  };
}

interface State {
  network: Network;
  /** Nothing may go out, when nothing may. */
  because: string;
  ask: boolean;
  denies: RuleIndex;
  allows: RuleIndex;
}

/** One `none` is enough; besides, the first file that says something is obeyed. */
function networkOf(ordered: readonly Ruleset[]): Network {
  const said = ordered.flatMap(({ network }) => (network === null ? [] : [network]));
  return said.includes('none') ? 'none' : (said[0] ?? 'mediated');
}

function judgeFlow(state: State, target: Target): FlowVerdict {
  const what = targetText(target);
  if (state.network === 'none') return offline(state, what);
  const denies = denyRules(state, target);
  const denied = new Set<Protocol>();
  for (const rule of denies.filter(isWhole))
    if (rule.only.protocol === null) return deniedBy(rule, what);
    else denied.add(rule.only.protocol);
  const speaks = allowRules(state, target).flatMap((rule) => spokenAt(rule, target.port));
  const all = new Set([...speaks, ...(isOpenFor(state, target) ? OPEN_PROTOCOLS : [])]);
  const protocols = [...all].filter((protocol) => !denied.has(protocol));
  if (protocols.length > 0) return { decision: 'allow', protocols };
  if (all.size > 0) return deniedBy(denies.find(isWhole)!, what);
  const remedy = allowWith(target, null);
  return ask(state, target, what, remedy) ?? nothingAllows(what, remedy, otherPorts(state, target));
}

function judgeConnection(state: State, target: Target, protocol: 'tcp' | 'tls-passthrough'): RequestVerdict {
  const what = `${targetText(target)} (${protocol})`;
  if (state.network === 'none') return offline(state, what);
  // A rule about requests cannot be kept where none can be seen, so it denies all of them.
  const deny = denyRules(state, target).find((rule) => !isWhole(rule) || speaksOf(rule, protocol));
  if (deny) return deniedBy(deny, what);
  const rules = allowRules(state, target).filter((each) => spokenAt(each, target.port).includes(protocol));
  if (rules.length > 0) return allowedBy(furthest(rules, target), protocol, target);
  if (isOpenFor(state, target)) return openly(protocol);
  const remedy = allowWith(target, protocol);
  return ask(state, target, what, remedy) ?? nothingAllows(what, remedy);
}

function judgeRequest(
  state: State,
  target: Target,
  protocol: 'http' | 'https',
  head: RequestHead,
): RequestVerdict {
  const what = requestText(target, protocol, head);
  if (state.network === 'none') return offline(state, what);
  const unclear = ambiguity(head.path);
  for (const rule of denyRules(state, target)) {
    if (!speaksOf(rule, protocol) || (rule.methods && !rule.methods.includes(head.method))) continue;
    if (rule.paths && unclear) return denied(rule.id, `${what}: the path is ambiguous: ${unclear}`);
    if (!rule.paths || rule.paths.some((pattern) => matchesPath(pattern, head.path)))
      return deniedBy(rule, what);
  }
  let near: Denied | null = null;
  const letting: Rule[] = [];
  for (const rule of allowRules(state, target)) {
    if (!spokenAt(rule, target.port).includes(protocol)) continue;
    const why = requestObjection(rule, head, unclear);
    if (why === null) letting.push(rule);
    else near ??= nearly(`${what}: ${why} (rule ${rule.id})`, target, protocol, head);
  }
  if (letting.length > 0) return allowedBy(furthest(letting, target), protocol, target, head);
  if (isOpenFor(state, target)) return openly(protocol);
  // What a rule was written about is not asked for again: its limits are meant.
  const remedy = forRequest(target, protocol, head);
  return near ?? ask(state, target, what, remedy) ?? nothingAllows(what, remedy);
}

/** Rules that allow add up: of those that let something through, the one that lets it lead to most addresses. */
function furthest(rules: readonly Rule[], target: Target): Rule {
  const open = rules.filter(({ allowPrivate }) => allowPrivate);
  return open.find((rule) => isExact(rule, target)) ?? open[0] ?? rules[0]!;
}

/** The whole host, except to git: what git wants there is known. */
function forRequest(target: Target, protocol: 'http' | 'https', head: RequestHead): Entry | null {
  return allowWith(target, protocol, gitRequest(head) === null ? undefined : head);
}

function isExact({ where }: Rule, { host }: Target): boolean {
  return where.kind === 'cidr' && host.kind === 'address' && where.cidr.text === host.address;
}

function allowedBy(rule: Rule, protocol: Protocol, target: Target, head?: RequestHead): Allowed {
  const { host } = target;
  const pushes = head?.method === 'POST' && rule.git?.push && gitRequest(head) === 'push';
  const exact = isExact(rule, target) && host.kind === 'address';
  return {
    decision: 'allow',
    ruleId: rule.id,
    protocol,
    allowPrivate: rule.allowPrivate,
    stripHeaders: rule.stripHeaders,
    ...(rule.hostService !== null && { hostService: rule.hostService }),
    ...(exact && { exactAddress: host.address }),
    ...(pushes && { gitPush: { refs: rule.git!.push! } }),
    ...(rule.secrets && { secrets: rule.secrets }),
    ...((rule.paths || rule.git) && { onlyPaths: true }),
  };
}

function allowRules(state: State, { host }: Target): Rule[] {
  // The host's own services have a name; no address leads to them, whatever a range contains.
  if (host.kind === 'address' && isLoopback(host.address)) return [];
  const isService = host.kind === 'name' && host.name === HOST_SERVICE_NAME;
  return state.allows.about(host).filter((rule) => (rule.hostService !== null) === isService);
}

function denyRules(state: State, { host, port }: Target): Rule[] {
  const about = host.kind === 'name' ? state.denies.about(host) : state.denies.aboutEmbedded(host.address);
  return about.filter((rule) => isAboutPort(rule, port));
}

function isAboutPort({ only }: Rule, port: number): boolean {
  return only.ports === null || only.ports.includes(port);
}

/** A deny rule that needs no request to decide. */
function isWhole(rule: Rule): boolean {
  return rule.methods === null && rule.paths === null;
}

function speaksOf({ only }: Rule, protocol: Protocol): boolean {
  return only.protocol === null || only.protocol === protocol;
}

function spokenAt({ speaks }: Rule, port: number): Protocol[] {
  return speaks.filter(({ ports }) => ports.includes(port)).map(({ protocol }) => protocol);
}

function otherPorts(state: State, target: Target): number[] {
  return [
    ...new Set(allowRules(state, target).flatMap(({ speaks }) => speaks.flatMap(({ ports }) => ports))),
  ];
}

function isOpenFor({ network }: State, { host }: Target): boolean {
  return network === 'open' && isPublic(host);
}

/** An answer of a person never opens private addresses or the host. */
function ask(state: State, { host }: Target, what: string, remedy: Entry | null): Asked | null {
  if (!state.ask || !isPublic(host)) return null;
  const reason = `${what}: no rule allows it, and somebody is asked`;
  return { decision: 'ask', ruleId: null, reason, allowWith: remedy };
}

function isPublic(host: Host): boolean {
  if (host.kind === 'name') return host.name !== HOST_SERVICE_NAME;
  return vetAddresses([host.address], { allowPrivate: false, ownAddresses: [] }).usable.length > 0;
}

function openly(protocol: Protocol): Allowed {
  return { decision: 'allow', ruleId: 'network:open', protocol, allowPrivate: false, stripHeaders: [] };
}

function offline({ because }: State, what: string): Denied {
  return denied('network:none', `${what}: ${because}`);
}

function denied(ruleId: string | null, reason: string): Denied {
  return { decision: 'deny', ruleId, reason, allowWith: null };
}
