// The keys `network` and `egress` of a policy file, to rules. A file that is wrong anywhere counts nowhere: the error
// names the entry and the way out. Limits: 4 MiB of text, 10,000 rules.

import { parse } from 'jsonc-parser';
import * as v from 'valibot';
import { WarrenError } from '../../protocol/error.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import { plainObject, shapeObjection } from '../../protocol/shape.ts';
import { entrySchema, parseEntry } from './entry.ts';
import { PROFILES, profileNames } from './profiles.ts';
import { type Entry, MAX_RULES, type Network, type Rule, type Ruleset, type Source } from './rule.ts';
import { syntaxObjection } from './syntax.ts';

const MAX_TEXT_CHARS = 4 * 1024 * 1024;

const entries = v.exactOptional(v.nullable(v.array(v.unknown())));
const egressSchema = plainObject({
  profiles: v.exactOptional(v.nullable(v.pipe(v.array(v.string()), v.maxLength(64)))),
  allow: entries,
  deny: entries,
  ask: v.exactOptional(v.boolean()),
  dns: v.exactOptional(v.literal('synthetic', 'names are only answered by the door itself: "synthetic"')),
});
const networkSchema = v.picklist(['none', 'mediated', 'open']);

export interface PolicyFrom {
  source: Source;
  /** For errors. */
  file: string;
  /** What its rules are called by, by default the source. */
  label?: string;
}

/** Takes the values of the two keys as they came out of the file. Throws `usage.policy`. */
export function parsePolicy(keys: { network?: unknown; egress?: unknown }, from: PolicyFrom): Ruleset {
  const network =
    keys.network === undefined ? null : shape(networkSchema, keys.network, 'network', from.file);
  if (keys.egress === undefined)
    return { source: from.source, network, ask: false, profiles: null, rules: [] };
  // Null is an empty list: nothing is allowed.
  const egress = shape(egressSchema, keys.egress ?? {}, 'egress', from.file);
  const profiles = egress.profiles ?? [];
  const count = (egress.allow?.length ?? 0) + (egress.deny?.length ?? 0);
  if (count > MAX_RULES)
    throw bad(
      from.file,
      'egress',
      `it has ${count} rules, and ${MAX_RULES} are the most`,
      'use a wildcard where many hosts share a name',
    );
  const rules: Rule[] = [
    ...readEntries(egress.deny ?? [], 'deny', from),
    ...readEntries(egress.allow ?? [], 'allow', from),
    ...profiles.flatMap((name) => profileRules(name, from)),
  ];
  const effective = combine(network, profiles, (egress.allow?.length ?? 0) > 0, from.file);
  return { source: from.source, network: effective, ask: egress.ask ?? false, profiles, rules };
}

/** The text of a file that holds nothing else. Throws `usage.policy`. */
export function parsePolicyText(text: string, from: PolicyFrom): Ruleset {
  if (text.length > MAX_TEXT_CHARS)
    throw bad(from.file, 'it', `it is longer than ${MAX_TEXT_CHARS} characters`, 'shorten it');
  const objection = syntaxObjection(text);
  if (objection) throw bad(from.file, 'it', objection, 'correct the file');
  const value: unknown = parse(text, [], { allowTrailingComma: true });
  const keys = shape(
    plainObject({
      $schema: v.exactOptional(v.string()),
      network: v.exactOptional(v.unknown()),
      egress: v.exactOptional(v.unknown()),
    }),
    value,
    'it',
    from.file,
  );
  return parsePolicy(keys, from);
}

/** The rules of a profile, as if the file had written them. Throws `usage.policy`. */
export function profileRules(name: string, from: PolicyFrom): Rule[] {
  const profile = Object.hasOwn(PROFILES, name) ? PROFILES[name as keyof typeof PROFILES] : undefined;
  if (!profile)
    throw bad(
      from.file,
      'egress.profiles',
      `there is no profile ${JSON.stringify(sanitizeLine(name, 40))}`,
      `there are: ${profileNames().join(', ')}`,
    );
  return profile.allow.map((entry, at) =>
    readEntry(entry, 'allow', `profile:${name}[${at}]`, `profile ${name}`, from.file),
  );
}

function combine(
  network: Network | null,
  profiles: readonly string[],
  allows: boolean,
  file: string,
): Network | null {
  const spelled = profiles.filter((name) => name === 'open' || name === 'none') as Network[];
  const all = new Set([...spelled, ...(network === null ? [] : [network])]);
  if (all.size > 1)
    throw bad(
      file,
      'network',
      `it says both ${[...all].join(' and ')}`,
      'keep one of "network" and the profiles open and none',
    );
  const [only = null] = all;
  if (only === 'none' && (allows || profiles.some((name) => name !== 'none')))
    throw bad(
      file,
      'network',
      'it is none, and "egress" allows something',
      'take away "allow" and "profiles", or "network"',
    );
  return only;
}

function readEntries(list: readonly unknown[], effect: 'allow' | 'deny', from: PolicyFrom): Rule[] {
  return list.map((entry, at) => {
    const place = `egress.${effect}[${at}]`;
    const shown = sanitizeLine(
      typeof entry === 'string' ? JSON.stringify(entry) : (JSON.stringify(entry) ?? ''),
      80,
    );
    const checked = shapeEntry(entry, `${place} (${shown})`, from.file);
    const id = `${from.label ?? from.source}:${effect}[${at}]`;
    return readEntry(checked, effect, id, `${place} (${shown})`, from.file);
  });
}

function readEntry(entry: Entry, effect: 'allow' | 'deny', id: string, place: string, file: string): Rule {
  const rule = parseEntry(entry, effect, id);
  if ('refused' in rule) throw bad(file, place, rule.refused, rule.remedy);
  return rule;
}

/** The union's own words name no key, so a wrong object is told by the object's schema. */
function shapeEntry(entry: unknown, place: string, file: string): Entry {
  const [string, object] = entrySchema.options;
  return typeof entry === 'string' ? shape(string, entry, place, file) : shape(object, entry, place, file);
}

function shape<T extends v.GenericSchema>(
  schema: T,
  value: unknown,
  place: string,
  file: string,
): v.InferOutput<T> {
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  const { place: below, why } = shapeObjection(schema, parsed.issues[0]);
  throw bad(file, below === '' ? place : `${place}.${below}`, why, 'correct it, or take it away');
}

function bad(file: string, place: string, why: string, remedy: string): WarrenError {
  return new WarrenError({ code: 'usage.policy', message: `cannot use ${file}: ${place}: ${why}`, remedy });
}
