// What counts as space. Go's unicode.IsSpace, which BuildKit trims and splits by, is not JavaScript's `\s`: it has
// U+0085 and lacks U+FEFF.

const SPACE = '\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const ONE = new RegExp(`^[${SPACE}]$`);
const LEADING = new RegExp(`^[${SPACE}]+`);
const FROM_A_SPACE = new RegExp(`[${SPACE}]`);

export function isSpace(character: string): boolean {
  return ONE.test(character);
}

export function trimLeft(text: string): string {
  return text.replace(LEADING, '');
}

export function trim(text: string): string {
  let end = text.length;
  // By hand: a pattern for trailing space takes quadratic time on a long run of spaces inside a line.
  while (end > 0 && isSpace(text[end - 1]!)) end--;
  return trimLeft(text.slice(0, end));
}

/** Where the first space is; -1: nowhere. */
export function indexOfSpace(text: string): number {
  return text.search(FROM_A_SPACE);
}

/** The separators between words of an instruction: narrower than `isSpace`. */
export const BETWEEN_WORDS = /[\t\v\f\r ]+/;

/** Cut once at the first run of separators. */
export function cutAtSpace(text: string): [string, string | null] {
  const match = BETWEEN_WORDS.exec(text);
  if (!match) return [text, null];
  return [text.slice(0, match.index), text.slice(match.index + match[0].length)];
}
