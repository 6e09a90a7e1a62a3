// One entry of `allow` or `deny`: from what is written to a rule. Written by whoever wrote the repository, so it is
// read strictly; what contradicts itself is refused and never half obeyed.

import * as v from 'valibot';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import { plainObject } from '../../protocol/shape.ts';
import { vetAddresses } from '../names/vetting.ts';
import { refsGlobObjection } from './git.ts';
import { patternObjection } from './path.ts';
import {
  type Entry,
  type EntryObject,
  HOST_SERVICE_NAME,
  REFUSED_METHODS,
  type Rule,
  type Speaks,
  type Where,
} from './rule.ts';
import type { Protocol } from './verdict.ts';
import { type Objection, parseRange, parseShort, parseWhere } from './where.ts';

const MAX_LIST = 64;
const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
const list = <T extends v.GenericSchema>(item: T) =>
  v.pipe(v.array(item), v.minLength(1), v.maxLength(MAX_LIST));
const text = v.pipe(v.string(), v.maxLength(1024));

export const entrySchema = v.union([
  v.pipe(v.string(), v.maxLength(300)),
  plainObject({
    host: v.exactOptional(v.pipe(v.string(), v.maxLength(300))),
    cidr: v.exactOptional(v.pipe(v.string(), v.maxLength(50))),
    hostService: v.exactOptional(port),
    ports: v.exactOptional(list(port)),
    protocol: v.exactOptional(v.picklist(['https', 'http', 'tls-passthrough', 'tcp'])),
    http: v.exactOptional(v.boolean()),
    methods: v.exactOptional(
      list(v.pipe(v.string(), v.regex(/^[A-Z]{1,20}$/, 'a method is in capitals: "GET"'))),
    ),
    paths: v.exactOptional(list(text)),
    git: v.exactOptional(plainObject({ fetch: v.exactOptional(v.boolean()), push: v.exactOptional(text) })),
    registry: v.exactOptional(v.literal('read')),
    allowPrivate: v.exactOptional(v.boolean()),
    stripHeaders: v.exactOptional(
      v.pipe(
        v.array(
          v.pipe(v.string(), v.regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, 'it is no name of a header')),
        ),
        v.maxLength(MAX_LIST),
      ),
    ),
    secrets: v.exactOptional(
      list(v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,64}$/, 'it is no name of a secret'))),
    ),
    comment: v.exactOptional(text),
  }),
]);

/** Servers that obey these take a POST for something else, so a rule about methods takes them away. */
const METHOD_OVERRIDES = ['x-http-method-override', 'x-http-method', 'x-method-override'];
const FRAMING = ['host', 'connection', 'content-length', 'transfer-encoding', 'upgrade', 'te', 'trailer'];
const NO_REQUESTS: readonly (keyof EntryObject)[] = [
  'methods',
  'paths',
  'git',
  'registry',
  'stripHeaders',
  'secrets',
  'http',
];
/** What only loosens or shapes what passes has no place in a rule that lets nothing pass. */
const ALLOW_ONLY: readonly (keyof EntryObject)[] = [
  'git',
  'registry',
  'allowPrivate',
  'stripHeaders',
  'secrets',
  'hostService',
  'http',
];

export function parseEntry(entry: Entry, effect: 'allow' | 'deny', idStart: string): Rule | Objection {
  const short = typeof entry === 'string' ? parseShort(entry, effect) : null;
  if (short && 'refused' in short) return short;
  const it: EntryObject = typeof entry === 'string' ? shortEntry(short!.port, effect) : entry;
  const where = short ? short.where : whereOf(it, effect);
  if ('refused' in where) return where;
  if (effect === 'allow' && it.hostService === undefined && isHostService(where))
    return no(`${HOST_SERVICE_NAME} is this computer`, 'name the port: {"hostService": 5432}');
  const against = contradiction(it, effect) ?? contentObjection(it);
  if (against) return against;
  const privately = effect === 'allow' ? privateObjection(where, it.allowPrivate) : null;
  if (privately) return privately;
  return {
    id: `${idStart}:${whereText(where)}`,
    effect,
    where,
    speaks: effect === 'allow' ? speaksOf(it) : [],
    only: { protocol: it.protocol ?? null, ports: it.ports ?? null },
    methods: it.registry === 'read' ? ['GET', 'HEAD'] : (it.methods ?? null),
    paths: it.paths ?? null,
    git: it.git ? { fetch: it.git.fetch ?? true, push: it.git.push ?? null } : null,
    allowPrivate: it.allowPrivate ?? (where.kind === 'cidr' && isSingle(where)),
    stripHeaders:
      it.stripHeaders?.map((name) => name.toLowerCase()) ??
      (it.methods || it.registry || it.git ? METHOD_OVERRIDES : []),
    hostService: it.hostService ?? null,
    secrets: it.secrets ?? null,
    comment: it.comment === undefined ? null : sanitizeLine(it.comment),
  };
}

export function whereText(where: Where): string {
  if (where.kind === 'cidr') return where.cidr.text;
  return where.kind === 'name' ? where.name : `*.${where.suffix}`;
}

function shortEntry(given: number | null, effect: 'allow' | 'deny'): EntryObject {
  if (given === null) return {};
  return given === 80 && effect === 'allow' ? { ports: [80], protocol: 'http' } : { ports: [given] };
}

function whereOf(it: EntryObject, effect: 'allow' | 'deny'): Where | Objection {
  const named = [it.host, it.cidr, it.hostService].filter((each) => each !== undefined).length;
  if (named !== 1)
    return no(
      'it must have exactly one of "host", "cidr" and "hostService"',
      'write {"host": "example.com"}',
    );
  if (it.hostService !== undefined) return { kind: 'name', name: HOST_SERVICE_NAME };
  if (it.cidr !== undefined) return parseRange(it.cidr, effect);
  return parseWhere(it.host!, effect);
}

function speaksOf(it: EntryObject): Speaks[] {
  const protocol: Protocol = it.protocol ?? (it.hostService === undefined ? 'https' : 'tcp');
  const ports =
    it.hostService !== undefined ? [it.hostService] : (it.ports ?? [protocol === 'http' ? 80 : 443]);
  const speaks: Speaks[] = [{ protocol, ports }];
  if (it.http === true && protocol === 'https') speaks.push({ protocol: 'http', ports: [80] });
  return speaks;
}

function contradiction(it: EntryObject, effect: 'allow' | 'deny'): Objection | null {
  const requestless =
    it.protocol === 'tcp' ||
    it.protocol === 'tls-passthrough' ||
    (it.hostService !== undefined && !it.protocol);
  const unseen = requestless
    ? NO_REQUESTS.find((key) => it[key] !== undefined && it[key] !== false)
    : undefined;
  if (unseen)
    return no(
      `"${unseen}" needs requests that can be read, and ${it.protocol ?? 'tcp'} has none`,
      `leave out "${unseen}", or use "protocol": "https"`,
    );
  const loose = effect === 'deny' ? ALLOW_ONLY.find((key) => it[key] !== undefined) : undefined;
  if (loose) return no(`"${loose}" means nothing in a deny rule`, `leave out "${loose}"`);
  if (effect === 'deny' && it.cidr !== undefined && (it.methods || it.paths))
    return no('names that resolve there have no requests yet', 'leave out "methods" and "paths"');
  if (effect === 'allow' && it.protocol === 'tcp' && !it.ports && it.hostService === undefined)
    return no('tcp has no usual port', 'write "ports": [22]');
  if (it.hostService !== undefined && (it.ports || it.protocol === 'https' || it.allowPrivate !== undefined))
    return no(
      '"hostService" is a port of this computer by itself',
      'leave out "ports", "allowPrivate" and https',
    );
  if (it.protocol === 'http' && it.secrets)
    return no('secrets only travel over verified TLS', 'leave out "secrets", or use https');
  if (it.http === true && it.secrets)
    return no('secrets only travel over verified TLS', 'put port 80 into a rule of its own');
  if (it.http === true && it.protocol === 'http')
    return no('"http" adds port 80 to https', 'leave out "http"');
  if (it.git && (it.methods || it.registry))
    return no('"git" chooses the methods by itself', 'leave out "methods" and "registry"');
  if (it.registry && it.methods) return no('"registry" chooses the methods by itself', 'leave out "methods"');
  if (it.git && it.git.fetch === false && it.git.push === undefined)
    return no('"git" lets neither fetch nor push through', 'write "git": {"fetch": true}');
  return null;
}

function contentObjection(it: EntryObject): Objection | null {
  for (const pattern of it.paths ?? []) {
    const why = patternObjection(pattern);
    if (why)
      return no(
        `the path ${JSON.stringify(sanitizeLine(pattern, 80))}: ${why}`,
        'write paths such as "/me/project/*"',
      );
  }
  const method = it.methods?.find((each) => REFUSED_METHODS.includes(each));
  if (method) return no(`${method} is never let through`, `leave out ${method}`);
  const header = it.stripHeaders?.find((name) => FRAMING.includes(name.toLowerCase()));
  if (header) return no(`without ${header} a request is no request`, `leave out ${header}`);
  const why = it.git?.push === undefined ? null : refsGlobObjection(it.git.push);
  return why ? no(`git.push: ${why}`, 'write "push": "refs/heads/warren/*"') : null;
}

/** A rule about addresses that could never be dialed is a mistake; one about this computer's own is refused. */
function privateObjection(where: Where, allowPrivate: boolean | undefined): Objection | null {
  if (where.kind !== 'cidr') return null;
  const first = where.cidr.text.split('/')[0]!;
  const open = vetAddresses([first], { allowPrivate: false, ownAddresses: [] });
  if (open.usable.length > 0) return null;
  if (/^127\.|^::1$|^0\.|^::$/.test(first))
    return no('loopback is reached by no address', 'name a service of this computer: {"hostService": 5432}');
  const plain = vetAddresses([first], { allowPrivate: true, ownAddresses: [] });
  if (allowPrivate === true || (allowPrivate === undefined && isSingle(where) && plain.usable.length > 0))
    return null;
  return no(open.refused[0]!.why, 'if that is meant, write {"cidr": …, "allowPrivate": true}');
}

function isHostService(where: Where): boolean {
  if (where.kind === 'name') return where.name === HOST_SERVICE_NAME;
  return where.kind === 'under' && HOST_SERVICE_NAME.endsWith(`.${where.suffix}`);
}

function isSingle(where: Where): boolean {
  return where.kind === 'cidr' && !where.cidr.text.includes('/');
}

function no(refused: string, remedy: string): Objection {
  return { refused, remedy };
}
