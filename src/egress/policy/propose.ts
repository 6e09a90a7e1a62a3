// From what was denied to entries for `warren.json`: as narrow as what was seen, no wildcards, and nothing that a rule
// denied on purpose. Events hold what a guest chose (hostile). Limits: 500 hosts, 500 left out.

import type { AuditEvent } from '../audit/event.ts';
import { canonicalHost, hostText } from '../names/canonical-host.ts';
import type { Host } from '../names/host.ts';
import { vetAddresses } from '../names/vetting.ts';
import { type Entry, type EntryObject, HOST_SERVICE_NAME } from './rule.ts';
import type { Protocol } from './verdict.ts';

export interface Proposal {
  entries: Entry[];
  /** What must be written by hand, if at all. */
  left: { host: string; why: string }[];
}

interface Seen {
  host: Host;
  /** By protocol and port: the methods of its requests. */
  speaks: Map<string, { protocol: Protocol; port: number; methods: Set<string> }>;
}

const MAX_ENTRIES = 500;

export function proposeRules(events: Iterable<AuditEvent>): Proposal {
  const hosts = new Map<string, Seen>();
  const left = new Map<string, string>();
  for (const event of events) {
    if (event.decision === 'allow' || event.kind === 'dns' || event.kind === 'notice') continue;
    if (event.port === null) continue;
    const host = canonicalHost(
      event.host.includes(':') && !event.host.startsWith('[') ? `[${event.host}]` : event.host,
    );
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
    note(
      seen,
      event.protocol ?? (event.port === 80 ? 'http' : 'https'),
      event.port,
      event.kind === 'request' ? event.method : null,
    );
  }
  const entries = [...hosts.keys()].sort().flatMap((text) => entriesFor(hosts.get(text)!));
  return { entries, left: [...left].slice(0, MAX_ENTRIES).map(([host, reason]) => ({ host, why: reason })) };
}

function objection(event: AuditEvent, host: Host): string | null {
  if (event.ruleId !== null) return `rule ${event.ruleId} denies it`;
  if (host.kind === 'name') return null;
  if (/^127\.|^::1$/.test(host.address))
    return 'it is this computer: write {"hostService": PORT} if that is meant';
  const { refused } = vetAddresses([host.address], { allowPrivate: false, ownAddresses: [] });
  return refused.length > 0 ? refused[0]!.why : null;
}

/** A look at whether something listens is no wish to talk to it. */
function unheard({ kind, port, ...event }: AuditEvent): string | null {
  if (kind !== 'flow' || port === null || [80, 443].includes(port)) return null;
  if ('protocol' in event && event.protocol !== null) return null;
  return `nothing was sent to port ${port}: if it is meant, write {"host": …, "ports": [${port}], "protocol": "tcp"}`;
}

function note(seen: Seen, protocol: Protocol, port: number, method: string | null): void {
  const key = `${protocol}:${port}`;
  const there = seen.speaks.get(key) ?? { protocol, port, methods: new Set<string>() };
  if (method !== null) there.methods.add(method);
  seen.speaks.set(key, there);
}

/** One entry for each protocol and set of methods. A string where no request was seen: it says it all. */
function entriesFor({ host, speaks }: Seen): Entry[] {
  if (host.kind === 'name' && host.name === HOST_SERVICE_NAME)
    return [...speaks.values()].map(({ port }) => ({ hostService: port }));
  const groups = new Map<string, Group>();
  for (const { protocol, port, methods } of speaks.values()) {
    if (methods.has('GET')) methods.add('HEAD');
    const sorted = [...methods].filter((method) => /^[A-Z]{1,20}$/.test(method)).sort();
    const key = `${protocol} ${sorted}`;
    const group = groups.get(key) ?? { protocol, ports: [], methods: sorted };
    group.ports.push(port);
    groups.set(key, group);
  }
  return [...groups.values()].flatMap((group) => entryFor(host, group));
}

interface Group {
  protocol: Protocol;
  ports: number[];
  methods: string[];
}

function entryFor(host: Host, { protocol, ports, methods }: Group): Entry[] {
  const text = hostText(host);
  const sorted = ports.sort((a, b) => a - b);
  const usual = protocol === 'http' ? 80 : 443;
  if (methods.length === 0 && protocol === 'https' && !sorted.includes(80))
    return sorted.map((port) => (port === usual ? text : `${text}:${port}`));
  if (methods.length === 0 && protocol === 'http' && String(sorted) === '80') return [`${text}:80`];
  const entry: EntryObject = { host: text };
  if (protocol !== 'https') entry.protocol = protocol;
  if (protocol === 'tcp' || String(sorted) !== String(usual)) entry.ports = sorted;
  if (methods.length > 0) entry.methods = methods;
  return [entry];
}
