// What may stand in a substitution, and what is said when something else does.

import { Problem, quote } from './problem.ts';

const SPECIAL = ['@', '*', '#', '?', '-', '$', '!', '0'];

/** `$?`: a name of one character that no Dockerfile sets. */
export function isSpecialName(character: string): boolean {
  return SPECIAL.includes(character);
}

export function isDigit(character: string): boolean {
  return /^\p{Nd}$/u.test(character);
}

export function isNameCharacter(character: string): boolean {
  return /^[\p{L}\p{Nd}_]$/u.test(character);
}

export function missingBrace(): Problem {
  return new Problem('it ends where "}" was expected');
}

export function unsupported(modifier: string): Problem {
  return new Problem(`${quote(modifier)} is not a modifier of a substitution`, {
    expected: ['-', ':-', '+', ':+', '?', ':?', '#', '##', '%', '%%', '/', '//'],
  });
}
