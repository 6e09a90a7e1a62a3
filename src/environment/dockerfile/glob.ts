// Wildcards, compiled to a small machine that is run on all its states at once: no pattern of a foreign file can make
// it take longer than its length times the text's, which a backtracking regular expression could.

import { dockerfileLimits } from './limits.ts';
import { Problem } from './problem.ts';

export type Token =
  | { kind: 'character'; value: string }
  | { kind: 'one'; of: CharacterSet }
  /** Any number of them. */
  | { kind: 'many'; of: CharacterSet }
  /** Nothing, or whole folders with the slash after them. */
  | { kind: 'folders' };

export interface CharacterSet {
  accepts(character: string): boolean;
  /** The same in a regular expression with the flag `u`. */
  source: string;
}

export const NOT_SLASH: CharacterSet = { accepts: (character) => character !== '/', source: '[^/]' };
export const NOT_NEWLINE: CharacterSet = { accepts: (character) => character !== '\n', source: '[^\\n]' };

/** More of them can make a regular expression slow. */
const REGEXP_MAX_VARIABLES = 2;

/** A predicate: does the whole text match? */
export function compileGlob(tokens: Token[]): (text: string) => boolean {
  const variables = tokens.filter(({ kind }) => kind === 'many' || kind === 'folders');
  if (variables.length > REGEXP_MAX_VARIABLES) return (text) => matchesWhole(tokens, text);
  const pattern = new RegExp(`^${tokens.map(sourceOf).join('')}$`, 'u');
  return (text) => pattern.test(text);
}

export function matchesWhole(tokens: Token[], text: string): boolean {
  const characters = [...text];
  return endsOf(tokens, characters, 0, { left: dockerfileLimits.patternSteps }).at(-1) === characters.length;
}

/** Where matches that begin at `start` end, in characters, ascending. */
export function endsOf(tokens: Token[], text: string[], start: number, budget: { left: number }): number[] {
  const ends: number[] = [];
  let states = new Set<number>();
  const enter = (into: Set<number>, state: number): void => {
    for (let next = state; !into.has(next); next++) {
      into.add(next);
      const kind = tokens[next]?.kind;
      // Inside of folders: -1 - its place.
      if (kind === 'folders') into.add(-1 - next);
      else if (kind !== 'many') return;
    }
  };
  enter(states, 0);
  for (let position = start; ; position++) {
    if (states.has(tokens.length)) ends.push(position);
    if (position >= text.length || states.size === 0) return ends;
    budget.left -= states.size;
    if (budget.left < 0) throw new Problem('a pattern takes too long to match');
    const next = new Set<number>();
    for (const state of states) step(tokens, state, text[position]!, next, enter);
    states = next;
  }
}

function step(
  tokens: Token[],
  state: number,
  character: string,
  next: Set<number>,
  enter: (into: Set<number>, state: number) => void,
): void {
  if (state < 0) {
    if (NOT_NEWLINE.accepts(character)) next.add(state);
    if (character === '/') enter(next, -state);
    return;
  }
  const token = tokens[state];
  if (token === undefined || token.kind === 'folders') return;
  if (token.kind === 'character') {
    if (token.value === character) enter(next, state + 1);
  } else if (token.of.accepts(character)) enter(next, token.kind === 'many' ? state : state + 1);
}

function sourceOf(token: Token): string {
  switch (token.kind) {
    case 'character':
      return literal(token.value);
    case 'one':
      return token.of.source;
    case 'many':
      return `${token.of.source}*`;
    case 'folders':
      return '(?:[^\\n]*/)?';
  }
}

/** Of one character, inside of brackets and outside. */
export function literal(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}
