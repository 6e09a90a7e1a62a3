// Patterns of paths: Go's filepath.Match, and what .dockerignore adds to it (moby/patternmatcher).

import { type CharacterSet, compileGlob, literal, NOT_NEWLINE, NOT_SLASH, type Token } from './glob.ts';
import { Problem, quote } from './problem.ts';

export type PathMatcher = (path: string) => boolean;

/** filepath.Match: `*` and `?` stay inside a folder, brackets are classes. Throws a `Problem`. */
export function compilePathPattern(pattern: string): PathMatcher {
  return compileGlob(tokensOf([...pattern], false));
}

/**
 * With `**`, which crosses folders. moby makes a regular expression of it, and there a `^`, a wildcard in brackets and an
 * escaped letter turn into something that nobody means; here they stay what filepath.Match has them for. Throws a
 * `Problem`.
 */
export function compileIgnorePattern(pattern: string): PathMatcher {
  const characters = [...pattern];
  // Only its grammar: there it is refused what filepath.Match refuses.
  tokensOf(characters, false);
  const isPlain = (from: number, to = characters.length): boolean =>
    !characters.slice(from, to).some((character) => '*?[]\\'.includes(character));
  if (isPlain(0)) return (path) => path === pattern;
  // `**/x` is x anywhere; `x/**` is what lies in x, and not x itself.
  if (pattern.startsWith('**') && isPlain(2)) {
    const suffix = pattern.slice(2);
    return (path) => path.endsWith(suffix) || (suffix.startsWith('/') && path === suffix.slice(1));
  }
  if (pattern.endsWith('**') && isPlain(0, characters.length - 2)) {
    const prefix = pattern.slice(0, -2);
    return (path) => path.startsWith(prefix);
  }
  return compileGlob(tokensOf(characters, true));
}

function tokensOf(characters: string[], hasFolders: boolean): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!;
    if (character === '*' && hasFolders && characters[at + 1] === '*') {
      at += characters[at + 2] === '/' ? 2 : 1;
      tokens.push(at + 1 < characters.length ? { kind: 'folders' } : { kind: 'many', of: NOT_NEWLINE });
    } else if (character === '*') tokens.push({ kind: 'many', of: NOT_SLASH });
    else if (character === '?') tokens.push({ kind: 'one', of: NOT_SLASH });
    else if (character === '[') {
      const { set, end } = classAt(characters, at);
      tokens.push({ kind: 'one', of: set });
      at = end;
    } else if (character === '\\') {
      if (at + 1 === characters.length) throw bad(characters, 'it ends with an escape');
      tokens.push({ kind: 'character', value: characters[++at]! });
    } else tokens.push({ kind: 'character', value: character });
  }
  return tokens;
}

/** `[abc]`, `[a-c]`, `[^a]`; `end`: its closing bracket. */
function classAt(characters: string[], start: number): { set: CharacterSet; end: number } {
  let at = start + 1;
  const isNegated = characters[at] === '^';
  if (isNegated) at++;
  const ranges: [low: string, high: string][] = [];
  const take = (): string => {
    const character = characters[at++];
    if (character === undefined || character === '-' || character === ']')
      throw bad(characters, 'its brackets are wrong');
    if (character !== '\\') return character;
    const escaped = characters[at++];
    if (escaped === undefined) throw bad(characters, 'it ends with an escape');
    return escaped;
  };
  do {
    const low = take();
    let high = low;
    if (characters[at] === '-') {
      at++;
      high = take();
    }
    ranges.push([low, high]);
    if (at >= characters.length) throw bad(characters, 'its brackets do not close');
  } while (characters[at] !== ']');
  // A range that runs backwards holds nothing.
  const real = ranges.filter(([low, high]) => codeOf(low) <= codeOf(high));
  const inside = real.map(([low, high]) => `${literal(low)}-${literal(high)}`).join('');
  return {
    end: at,
    set: {
      source: `[${isNegated ? '^' : ''}${inside}]`,
      accepts: (character) =>
        real.some(([low, high]) => codeOf(low) <= codeOf(character) && codeOf(character) <= codeOf(high)) !==
        isNegated,
    },
  };
}

function codeOf(character: string): number {
  return character.codePointAt(0)!;
}

function bad(characters: string[], why: string): Problem {
  return new Problem(`the pattern ${quote(characters.join(''))} cannot be read: ${why}`);
}
