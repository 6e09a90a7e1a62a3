// Paths of requests (hostile) against paths of rules, byte by byte and exactly as they are sent on. A path that some
// servers read as another path is told apart first: no rule about paths may decide on it. Limits: 16 KiB of path,
// 1024 characters and 8 stars of pattern.

const MAX_PATH_CHARS = 16 * 1024;
const MAX_PATTERN_CHARS = 1024;
const MAX_STARS = 8;

/** Why a server might read the path otherwise than it stands there; null when none would. */
export function ambiguity(target: string): string | null {
  const path = withoutQuery(target);
  if (!path.startsWith('/')) return 'it does not start with /';
  if (path.length > MAX_PATH_CHARS) return `it is longer than ${MAX_PATH_CHARS} bytes`;
  if (/[^\x21-\x7e]/.test(path)) return 'it has bytes that must be percent-encoded';
  if (path.includes('\\')) return 'it has a backslash';
  if (path.includes('#')) return 'it has a #';
  if (path.includes(';')) return 'it has a ;';
  if (path.includes('//')) return 'it has an empty segment (//)';
  if (/\/\.{1,2}(?:\/|$)/.test(path)) return 'it has a dot segment';
  for (const [, hex] of path.matchAll(/%(..?)?/g)) {
    if (!hex || !/^[0-9a-fA-F]{2}$/.test(hex)) return 'it has a % that encodes nothing';
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    if (/[A-Za-z0-9._~-]/.test(char)) return `it encodes what needs no encoding (%${hex})`;
    if (/[\x00-\x20\x7f/\\;%#?*]/.test(char)) return `it encodes a separator (%${hex})`;
  }
  return null;
}

export function withoutQuery(target: string): string {
  const mark = target.indexOf('?');
  return mark < 0 ? target : target.slice(0, mark);
}

/** Why a pattern cannot be one; null when it can. */
export function patternObjection(pattern: string): string | null {
  if (pattern.length > MAX_PATTERN_CHARS) return `it is longer than ${MAX_PATTERN_CHARS} characters`;
  if (pattern.includes('?')) return 'rules are about the path without its query';
  if (pattern.includes('**')) return 'a * stays within its segment; /* at the end takes everything below';
  if (pattern.split('*').length - 1 > MAX_STARS) return `it has more than ${MAX_STARS} stars`;
  return ambiguity(pattern);
}

/** `*` is any bytes of one segment; `/*` at the end is everything below. The path must not be ambiguous. */
export function matchesPath(pattern: string, target: string): boolean {
  const path = sameCase(withoutQuery(target));
  const below = pattern.endsWith('/*');
  const wanted = sameCase(below ? pattern.slice(0, -2) : pattern).split('/');
  const given = path.split('/');
  if (below ? given.length <= wanted.length : given.length !== wanted.length) return false;
  return wanted.every((segment, at) => matchesSegment(segment, given[at]!));
}

/** `%c3` and `%C3` are the same byte. */
function sameCase(path: string): string {
  return path.replaceAll(/%[0-9a-f]{2}/gi, (encoded) => encoded.toUpperCase());
}

/** Each piece between stars as early as possible: time in proportion to both lengths, whatever they hold. */
function matchesSegment(pattern: string, text: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  if (rest.length === 0) return pattern === text;
  const last = rest.pop()!;
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last))
    return false;
  let from = first.length;
  const end = text.length - last.length;
  for (const piece of rest) {
    const at = text.indexOf(piece, from);
    if (at < 0 || at + piece.length > end) return false;
    from = at + piece.length;
  }
  return from <= end;
}
