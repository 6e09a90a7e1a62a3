// Which entries of a list are meant by what was typed: those that mean the same, however they are written, else those
// that are about the same host. Pure.

import { canonical } from './canonical.ts';
import { parseEntry, whereText } from './entry.ts';
import type { Entry, Rule } from './rule.ts';
import { PLAIN, quoted, type Typed, typedText } from './typed.ts';
import { parseRange, parseShort } from './where.ts';
import { entryOf } from './write-entry.ts';

type Effect = 'allow' | 'deny';

/** The same text for entries that do the same. */
export function meaningOf(entry: Entry, effect: Effect): string {
  const rule = parseEntry(entry, effect, '');
  if ('refused' in rule) return canonical(entry);
  const { id: _, only, comment: __, ...does } = rule;
  return canonical(effect === 'deny' ? { ...does, only } : does);
}

/** `host`: as it was typed, with its port or without. */
export function entriesMeant(list: readonly Entry[], effect: Effect, host: string, typed: Typed): Entry[] {
  const meaning = meaningOf(entryOf(host, typed), effect);
  const same = list.filter((entry) => meaningOf(entry, effect) === meaning);
  if (same.length > 0) return same;
  const place = placeOf(host);
  if (place === null) return [];
  return list.filter((entry) => {
    const rule = parseEntry(entry, effect, '');
    return !('refused' in rule) && isAbout(rule, place) && isWithin(rule, typed);
  });
}

export function servicesMeant(list: readonly Entry[], port: number): Entry[] {
  return list.filter((entry) => typeof entry === 'object' && entry.hostService === port);
}

/** Behind `warren policy allow NAME`; null for what no flags say. */
export function entryWords(entry: Entry): string | null {
  if (typeof entry === 'string') return quoted(entry);
  const { host, cidr, hostService, ports, protocol, methods, paths, git, allowPrivate, ...more } = entry;
  if (hostService !== undefined)
    return `--host-service ${hostService}${protocol === 'http' ? ' --http' : ''}`;
  if (Object.keys(more).length > 0 || (ports?.length ?? 0) > 1) return null;
  const at = `${host ?? cidr}${ports === undefined ? '' : `:${ports[0]}`}`;
  const isSaid = protocol === undefined || protocol === 'https' || (protocol === 'http' && ports?.[0] === 80);
  return typedText(at, {
    ...PLAIN,
    protocol: isSaid ? null : protocol,
    methods: methods ?? [],
    paths: paths ?? [],
    git: git ? { fetch: git.fetch ?? true, push: git.push ?? null } : null,
    allowPrivate: allowPrivate === true,
  });
}

interface Place {
  where: string;
  port: number | null;
}

function placeOf(host: string): Place | null {
  const short = host.includes('/')
    ? { where: parseRange(host, 'deny'), port: null }
    : parseShort(host, 'deny');
  if ('refused' in short || 'refused' in short.where) return null;
  return { where: whereText(short.where), port: short.port };
}

function isAbout(rule: Rule, { where, port }: Place): boolean {
  if (whereText(rule.where) !== where) return false;
  if (port === null) return true;
  const ports = rule.effect === 'deny' ? rule.only.ports : rule.speaks.flatMap((each) => each.ports);
  return ports?.includes(port) ?? false;
}

/** What was typed besides is true of it. */
function isWithin(rule: Rule, { protocol, methods, paths, git, allowPrivate }: Typed): boolean {
  return (
    (protocol === null ||
      [rule.only.protocol, ...rule.speaks.map((each) => each.protocol)].includes(protocol)) &&
    methods.every((method) => rule.methods?.includes(method)) &&
    paths.every((path) => rule.paths?.includes(path)) &&
    (git === null || (rule.git !== null && rule.git.push === git.push)) &&
    (!allowPrivate || rule.allowPrivate)
  );
}
