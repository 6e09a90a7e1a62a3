// What is wrong with a value that somebody wrote, in words for whoever wrote it: the validator's own name types of a
// programming language. Pure. What was written may come from a repository; at most 80 characters of it are shown.

import * as v from 'valibot';
import { sanitizeLine } from './sanitize.ts';

const MAX_SHOWN_CHARS = 80;
const MAX_KEYS = 30;
/** Letters that differ in a key that was meant. */
const NEAR_EDITS = 2;

type Issue = v.BaseIssue<unknown>;

/** Valibot takes an array for an object. */
export function plainObject<T extends v.ObjectEntries>(keys: T) {
  return v.pipe(
    v.unknown(),
    v.check((value) => !Array.isArray(value), 'it must be an object, {…}, and it is a list'),
    v.strictObject(keys),
  );
}

export interface ShapeObjection {
  /** The keys that lead there; none: it is the whole. */
  path: (string | number)[];
  /** The same as one word. */
  place: string;
  /** The end of a sentence. */
  why: string;
}

export function shapeObjection(schema: v.GenericSchema, issue: Issue): ShapeObjection {
  // Of several shapes that a value may have, the one that fits its type is meant.
  const inner = issue.type === 'union' ? issue.issues?.find((each) => each.path) : undefined;
  const path = [...(issue.path ?? []), ...(inner?.path ?? [])].map(({ key }) => key as string | number);
  const { expected, received } = inner ?? issue;
  const isUnknown = expected === 'never';
  const isMissing = received === 'undefined' && expected?.startsWith('"') === true;
  if (path.length === 0 || !(isUnknown || isMissing)) return at(path, wordsOf(inner ?? issue));
  const key = String(path.pop());
  const shown = JSON.stringify(sanitizeLine(key, MAX_SHOWN_CHARS));
  return isUnknown
    ? at(path, `there is no key ${shown}${known(keysAt(schema, path), key)}`)
    : at(path, `the key ${shown} is missing`);
}

function at(path: (string | number)[], why: string): ShapeObjection {
  return { path, place: sanitizeLine(path.join('.'), MAX_SHOWN_CHARS), why };
}

const TYPES: Record<string, string> = {
  Object: 'an object, {…}',
  // Of `plainObject`.
  unknown: 'an object, {…}',
  Array: 'a list, […]',
  string: 'a text, "…"',
  number: 'a number',
  boolean: 'true or false',
  null: 'null',
};

function wordsOf({ type, expected, received, requirement, message }: Issue): string {
  // A message of ours.
  if (!message.startsWith('Invalid ')) return sanitizeLine(message);
  if (type === 'integer') return 'it must be a whole number';
  if (type === 'min_value') return `it must be at least ${requirement}`;
  if (type === 'max_value') return `it must be at most ${requirement}`;
  if (type === 'min_length') return 'it must not be empty';
  if (type === 'max_length') return `it is longer than ${requirement}`;
  const wanted = (expected ?? '').replace(/[()]/g, '').split(' | ');
  const must = [...new Set(wanted.map((each) => TYPES[each] ?? each))].join(' or ');
  return `it must be ${must}, and it is ${TYPES[received] ?? sanitizeLine(received, MAX_SHOWN_CHARS)}`;
}

function known(keys: readonly string[], written: string): string {
  if (keys.length === 0) return '';
  const edits = new Map(keys.map((key) => [key, editsBetween(key, written.slice(0, MAX_SHOWN_CHARS))]));
  const least = Math.min(NEAR_EDITS, ...edits.values());
  const near = keys.filter((key) => edits.get(key) === least);
  const rest = keys.filter((key) => !near.includes(key));
  const meant = near.length > 0 ? `; is ${near.map((key) => JSON.stringify(key)).join(' or ')} meant?` : ';';
  const others = rest.slice(0, MAX_KEYS).join(', ');
  return `${meant}${others && ` ${near.length > 0 ? 'There are also' : 'there are'} ${others}`}`;
}

/** Of the object that the path leads to; none where nothing is known of it. */
function keysAt(schema: unknown, path: readonly unknown[]): string[] {
  const { wrapped, pipe, options, item, entries } = schema as Record<string, unknown>;
  if (wrapped) return keysAt(wrapped, path);
  const inside = (pipe ?? options) as unknown[] | undefined;
  if (Array.isArray(inside)) {
    // The first of a pipe is itself without the pipe.
    const found = inside.map((each) =>
      each === schema ? [] : keysAt({ ...(each as object), pipe: undefined }, path),
    );
    return found.find((keys) => keys.length > 0) ?? [];
  }
  if (item && path.length > 0) return keysAt(item, path.slice(1));
  if (!entries) return [];
  const [key, ...below] = path;
  if (key === undefined) return Object.keys(entries).filter((each) => !each.startsWith('$'));
  const next = Object.hasOwn(entries, String(key)) ? (entries as Record<string, unknown>)[String(key)] : null;
  return next ? keysAt(next, below) : [];
}

/** Letters put in, left out, changed, or swapped with the next. */
function editsBetween(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= a.length; i++) {
    const before = rows[i - 1]!;
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(
          before[j]! + 1,
          row[j - 1]! + 1,
          before[j - 1]! + (isSame ? 0 : 1),
          isSwap ? rows[i - 2]![j - 2]! + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
