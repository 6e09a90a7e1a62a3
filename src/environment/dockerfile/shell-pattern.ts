// Patterns of ${x#p}, ${x%p} and ${x/p/r}: `*`, `?` and escapes, no brackets.

import { endsOf, NOT_NEWLINE, type Token } from './glob.ts';
import { dockerfileLimits } from './limits.ts';
import { Problem, quote } from './problem.ts';

export function compileShellPattern(pattern: string): Token[] {
  const tokens: Token[] = [];
  const characters = [...pattern];
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i]!;
    if (character === '*') tokens.push({ kind: 'many', of: NOT_NEWLINE });
    else if (character === '?') tokens.push({ kind: 'one', of: NOT_NEWLINE });
    else if (character !== '\\') tokens.push({ kind: 'character', value: character });
    else {
      const next = characters[i + 1];
      // `}` and `/` had to be escaped to stand in ${}; that escape is not the pattern's.
      if (next === '}' || next === '/') continue;
      if (next !== '*' && next !== '?' && next !== '\\')
        throw new Problem(`invalid escape ${quote(`\\${next ?? ''}`)} in the pattern ${quote(pattern)}`, {
          expected: ['\\*', '\\?', '\\\\'],
        });
      tokens.push({ kind: 'character', value: next });
      i++;
    }
  }
  return tokens;
}

export function removePrefix(pattern: string, value: string, longest: boolean): string {
  const text = [...value];
  const ends = endsOf(compileShellPattern(pattern), text, 0, budget());
  const end = longest ? ends.at(-1) : ends[0];
  return end === undefined ? value : text.slice(end).join('');
}

export function removeSuffix(pattern: string, value: string, longest: boolean): string {
  const tokens = compileShellPattern(pattern).toReversed();
  const text = [...value].reverse();
  const ends = endsOf(tokens, text, 0, budget());
  const end = longest ? ends.at(-1) : ends[0];
  return end === undefined ? value : text.slice(end).reverse().join('');
}

/** The leftmost, longest match, or all of them that do not overlap. */
export function replaceIn(value: string, pattern: string, replacement: string, all: boolean): string {
  const tokens = compileShellPattern(pattern);
  const text = [...value];
  const left = budget();
  const out: string[] = [];
  let copied = 0;
  let previousEnd = -1;
  for (let start = 0; start <= text.length; ) {
    const end = endsOf(tokens, text, start, left).at(-1);
    // An empty match right after another one is none.
    if (end === undefined || (end === start && start === previousEnd)) {
      start++;
      continue;
    }
    const found = text.slice(start, end).join('');
    out.push(text.slice(copied, start).join(''), all ? fillTemplate(replacement, found) : replacement);
    copied = end;
    previousEnd = end;
    if (!all) break;
    start = end > start ? end : start + 1;
  }
  out.push(text.slice(copied).join(''));
  return out.join('');
}

/** BuildKit replaces all with Go's templates: `$0` is what was found, other names are empty, `$$` is a dollar. */
function fillTemplate(replacement: string, found: string): string {
  return replacement.replace(
    /\$(?:(\$)|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu,
    (_, dollar: string | undefined, braced: string | undefined, name: string | undefined) =>
      dollar ?? ((braced ?? name) === '0' ? found : ''),
  );
}

function budget(): { left: number } {
  return { left: dockerfileLimits.patternSteps };
}
