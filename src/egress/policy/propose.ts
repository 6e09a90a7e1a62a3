// From what was denied to entries for `warren.json`: as narrow as what was seen, no wildcards, and nothing that a rule
// denied on purpose. What only reads may read a host; what writes, at most 3 paths of it; git, its
// repositories. Events hold what a guest chose
// (hostile). Limits: 500 hosts, 500 left out.

import type { AuditEvent, RequestEvent } from '../audit/event.ts';
import { inBrackets, isLoopback } from '../names/address.ts';
import { canonicalHost, hostText } from '../names/canonical-host.ts';
import type { Host } from '../names/host.ts';
import { vetAddresses } from '../names/vetting.ts';
import { PUSHED_REFS } from './allow-with.ts';
import { meaningOf } from './find-rules.ts';
import { ONLY_FETCH } from './objection.ts';
import { patternObjection } from './path.ts';
import type { Profile } from './profiles/profile.ts';
import { PROFILES } from './profiles.ts';
import { type Entry, type EntryObject, HOST_SERVICE_NAME } from './rule.ts';
import type { Protocol } from './verdict.ts';

export interface Proposal {
  entries: Entry[];
  /** What must be written by hand, if at all. */
  left: { host: string; why: string }[];
}

interface Seen {
  host: Host;
  /** By protocol and port. */
  speaks: Map<string, Spoken>;
}

interface Spoken {
  protocol: Protocol;
  port: number;
  reads: Set<string>;
  writes: Set<string>;
  /** Of what writes. */
  paths: Set<string>;
  /** Patterns of repositories. */
  git: { fetch: Set<string>; push: Set<string> };
}

const MAX_ENTRIES = 500;
const MAX_PATHS = 3;
const MAX_REPOSITORIES = 64;
const READS = ['GET', 'HEAD'];
/** Of all profiles: packages are read from them, and published to them. */
const REGISTRIES = new Set(
  Object.values(PROFILES).flatMap(({ allow }: Profile) =>
    allow.flatMap((entry) => (typeof entry === 'object' && entry.registry ? [entry.host!] : [])),
  ),
);

export function proposeRules(events: Iterable<AuditEvent>): Proposal {
  const hosts = new Map<string, Seen>();
  const left = new Map<string, string>();
  for (const event of events) {
    if (event.decision === 'allow' || event.kind === 'dns' || event.kind === 'notice') continue;
    if (event.port === null) continue;
    const host = canonicalHost(inBrackets(event.host));
    if ('refused' in host) continue;
    const text = hostText(host);
    const why = objection(event, host) ?? unheard(event);
    if (why !== null) {
      left.set(text, why);
      continue;
    }
    if (!hosts.has(text) && hosts.size >= MAX_ENTRIES) {
      left.set(text, `only the first ${MAX_ENTRIES} hosts are proposed`);
      continue;
    }
    const seen = hosts.get(text) ?? { host, speaks: new Map() };
    hosts.set(text, seen);
    note(seen, event.protocol ?? (event.port === 80 ? 'http' : 'https'), event.port, event);
  }
  const entries = [...hosts.keys()].sort().flatMap((text) => {
    const seen = hosts.get(text)!;
    if (REGISTRIES.has(text) && [...seen.speaks.values()].some(writesWidely))
      left.set(text, 'something is published there, or sent to more than a few paths: write a rule by hand');
    return entriesFor(seen);
  });
  return { entries, left: [...left].slice(0, MAX_ENTRIES).map(([host, reason]) => ({ host, why: reason })) };
}

function objection(event: AuditEvent, host: Host): string | null {
  if (event.ruleId !== null) return `rule ${event.ruleId} denies it`;
  if (host.kind === 'name') return null;
  if (isLoopback(host.address)) return 'it is this computer: write {"hostService": PORT} if that is meant';
  const { refused } = vetAddresses([host.address], { allowPrivate: false, ownAddresses: [] });
  return refused.length > 0 ? refused[0]!.why : null;
}

/** A look at whether something listens is no wish to talk to it. */
function unheard({ kind, port, ...event }: AuditEvent): string | null {
  if (kind !== 'flow' || port === null || [80, 443].includes(port)) return null;
  if ('protocol' in event && event.protocol !== null) return null;
  return `nothing was sent to port ${port}: if it is meant, write {"host": …, "ports": [${port}], "protocol": "tcp"}`;
}

function note({ speaks }: Seen, protocol: Protocol, port: number, event: AuditEvent): void {
  const key = `${protocol}:${port}`;
  const there = speaks.get(key) ?? {
    ...{ protocol, port },
    ...{ reads: new Set<string>(), writes: new Set<string>(), paths: new Set<string>() },
    git: { fetch: new Set<string>(), push: new Set<string>() },
  };
  speaks.set(key, there);
  if (event.kind !== 'request' || !/^[A-Z]{1,20}$/.test(event.method)) return;
  const git = gitOf(event);
  if (git) there.git[git.kind].add(git.pattern);
  else if (READS.includes(event.method)) there.reads.add(event.method);
  else {
    there.writes.add(event.method);
    if (there.paths.size <= MAX_PATHS) there.paths.add(event.path);
  }
}

/**
 * What git wanted. Its first request is the same for both but for its query, which is not written down: then the reason
 * tells.
 */
export function gitOf({
  method,
  path,
  reason,
}: Pick<RequestEvent, 'method' | 'path' | 'reason'>): { kind: 'fetch' | 'push'; pattern: string } | null {
  const [, before = '', what] = /^(.*)\/(info\/refs|git-upload-pack|git-receive-pack)$/s.exec(path) ?? [];
  if (what === undefined || method !== (what === 'info/refs' ? 'GET' : 'POST') || isUnclear(path))
    return null;
  const isPush =
    what === 'git-receive-pack' || (what === 'info/refs' && reason?.includes(ONLY_FETCH) === true);
  return { kind: isPush ? 'push' : 'fetch', pattern: `${before}/*` };
}

function writesWidely({ writes, paths }: Spoken): boolean {
  return writes.size > 0 && (paths.size > MAX_PATHS || [...paths].some(isUnclear));
}

/** `[cut]` ends a path that is not all written down. */
function isUnclear(path: string): boolean {
  return path.includes('*') || path.endsWith('[cut]') || patternObjection(path) !== null;
}

type Limits = Pick<EntryObject, 'methods' | 'paths' | 'registry' | 'git'>;

/** One entry for each protocol and what it may. A string where no request was seen: it says it all. */
function entriesFor({ host, speaks }: Seen): Entry[] {
  if (host.kind === 'name' && host.name === HOST_SERVICE_NAME)
    return [...new Set([...speaks.values()].map(({ port }) => port))].map((port) => ({ hostService: port }));
  const groups = new Map<string, { protocol: Protocol; ports: number[]; limits: Limits }>();
  for (const spoken of speaks.values())
    for (const limits of limitsOf(spoken, REGISTRIES.has(hostText(host)))) {
      const key = JSON.stringify([spoken.protocol, limits]);
      const group = groups.get(key) ?? { protocol: spoken.protocol, ports: [], limits };
      group.ports.push(spoken.port);
      groups.set(key, group);
    }
  return [...groups.values()].flatMap(({ protocol, ports, limits }) =>
    entryFor(host, protocol, ports, limits),
  );
}

/** Of what nobody looks into, nothing but its port is known. */
function isRead(protocol: Protocol): boolean {
  return protocol === 'http' || protocol === 'https';
}

function limitsOf(spoken: Spoken, isRegistry: boolean): Limits[] {
  const { reads, writes, paths, git } = spoken;
  const repositories = gitLimits(git);
  if (reads.size === 0 && writes.size === 0 && repositories.length > 0) return repositories;
  if (reads.size === 0 && writes.size === 0)
    return isRegistry && isRead(spoken.protocol) ? [{ registry: 'read' }] : [{}];
  const limits: Limits[] = repositories;
  if (reads.size > 0)
    limits.push(isRegistry ? { registry: 'read' } : { methods: reads.has('GET') ? READS : ['HEAD'] });
  const isWide = writesWidely(spoken);
  if (writes.size > 0 && !(isWide && isRegistry))
    limits.push({ methods: [...writes].sort(), ...(!isWide && { paths: [...paths].sort() }) });
  return limits;
}

function gitLimits({ fetch, push }: Spoken['git']): Limits[] {
  const some = (patterns: Set<string>) => [...patterns].sort().slice(0, MAX_REPOSITORIES);
  return [
    ...(fetch.size > 0 ? [{ paths: some(fetch), git: { fetch: true } }] : []),
    ...(push.size > 0 ? [{ paths: some(push), git: { fetch: false, push: PUSHED_REFS } }] : []),
  ];
}

function entryFor(host: Host, protocol: Protocol, ports: number[], limits: Limits): Entry[] {
  const text = hostText(host);
  const sorted = ports.sort((a, b) => a - b);
  const usual = protocol === 'http' ? 80 : 443;
  const isPlain = Object.keys(limits).length === 0;
  if (isPlain && protocol === 'https' && !sorted.includes(80))
    return sorted.map((port) => (port === usual ? text : `${text}:${port}`));
  if (isPlain && protocol === 'http' && String(sorted) === '80') return [`${text}:80`];
  const entry: EntryObject = { host: text };
  if (protocol !== 'https') entry.protocol = protocol;
  if (protocol === 'tcp' || String(sorted) !== String(usual)) entry.ports = sorted;
  return [{ ...entry, ...limits }];
}

/** What is there already, and what is proposed besides: a written `egress` stands for itself, and replaces the profiles that fit. */
export function wholeEgress(
  there: Record<string, unknown> | null,
  fitting: readonly string[],
  entries: readonly Entry[],
): Record<string, unknown> {
  const { allow, ...keys } = there ?? (fitting.length > 0 ? { profiles: [...fitting] } : {});
  const kept = (allow as Entry[] | null | undefined) ?? [];
  const has = new Set(kept.map((entry) => meaningOf(entry, 'allow')));
  return { ...keys, allow: [...kept, ...entries.filter((entry) => !has.has(meaningOf(entry, 'allow')))] };
}
