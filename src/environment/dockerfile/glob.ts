// Wildcards, compiled to a small machine that is run on all its states at once: no pattern of a foreign file can make
// it take longer than its length times the text's, which a backtracking regular expression could.

import { dockerfileLimits } from './limits.ts';
import { Problem } from './problem.ts';

export type Token =
  | { kind: 'character'; value: string }
  /** One character that `accepts`. */
  | { kind: 'one'; accepts: (character: string) => boolean }
  /** Any number of characters that `accepts`. */
  | { kind: 'many'; accepts: (character: string) => boolean }
  /** Nothing, or whole folders with the slash after them. */
  | { kind: 'folders' };

export interface Glob {
  tokens: Token[];
}

export const anyCharacter = (): boolean => true;
export const notSlash = (character: string): boolean => character !== '/';
export const notNewline = (character: string): boolean => character !== '\n';

/** Does the whole text match? */
export function matchesWhole({ tokens }: Glob, text: string): boolean {
  const characters = [...text];
  return endsOf(tokens, characters, 0, { left: dockerfileLimits.patternSteps }).at(-1) === characters.length;
}

/** Where matches that begin at `start` end, in characters, ascending. */
export function endsOf(tokens: Token[], text: string[], start: number, budget: { left: number }): number[] {
  const ends: number[] = [];
  let states = new Set<number>();
  // Inside the folders of a `folders` token: -1 - its place.
  const enter = (into: Set<number>, state: number): void => {
    if (into.has(state)) return;
    into.add(state);
    const token = tokens[state];
    if (token?.kind === 'many') enter(into, state + 1);
    else if (token?.kind === 'folders') {
      into.add(-1 - state);
      enter(into, state + 1);
    }
  };
  enter(states, 0);
  for (let position = start; ; position++) {
    if (states.has(tokens.length)) ends.push(position);
    if (position >= text.length || states.size === 0) return ends;
    budget.left -= states.size;
    if (budget.left < 0) throw new Problem('a pattern takes too long to match');
    const character = text[position]!;
    const next = new Set<number>();
    for (const state of states) {
      if (state < 0) {
        // In moby's patterns this is a dot, which is no newline.
        if (notNewline(character)) next.add(state);
        if (character === '/') enter(next, -state);
        continue;
      }
      const token = tokens[state];
      if (token === undefined || token.kind === 'folders') continue;
      if (token.kind === 'character') {
        if (token.value === character) enter(next, state + 1);
      } else if (token.accepts(character)) enter(next, token.kind === 'many' ? state : state + 1);
    }
    states = next;
  }
}
