// Makes foreign text safe to show: what a terminal would obey, or what hides or reorders letters, becomes a
// visible escape. Newlines and tabs stay. Used wherever words of a guest or of a commit reach a person; values
// that programs read stay as they are.

// C0 and C1 but newline and tab; soft hyphen; bidi marks, embeddings, overrides and isolates; zero width; line and
// paragraph separators; the byte order mark; variation selectors and tag characters.
const UNSAFE =
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: single code points are meant
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\u{e0000}-\u{e0fff}]/gu;

/** What is longer than `maxChars` ends in an ellipsis. */
export function sanitize(text: string, maxChars = Number.POSITIVE_INFINITY): string {
  const cut = text.length > maxChars ? `${text.slice(0, maxChars)}…` : text;
  return cut.replaceAll(UNSAFE, (char) => {
    const code = char.codePointAt(0)!;
    return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** JSON of the same value in which a terminal finds nothing to obey. */
export function shownJson(value: unknown, indent = 0): string {
  const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(value, null, indent).replaceAll(UNSAFE, (char) =>
    char.split('').map(escaped).join(''),
  );
}

/** The same, for text that must stay on its line: a name, a path, a subject. */
export function sanitizeLine(text: string, maxChars = 200): string {
  return sanitize(text, maxChars).replaceAll('\n', '\\n').replaceAll('\t', '\\t');
}
