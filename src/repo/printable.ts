// Makes text from git or from a guest safe to print: control bytes, escape sequences and invisible or
// direction-changing letters become visible escapes. Values that programs read stay as they are; only
// messages for people go through here.

// C0 and C1 but newline and tab; soft hyphen; bidi marks, embeddings, overrides and isolates; zero width;
// line and paragraph separators; the byte order mark; variation selectors and tag characters.
const hidden =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: single code points are meant
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\u{e0000}-\u{e0fff}]/gu;

/** At most `maxChars` characters; newline and tab stay. */
export function printable(text: string, maxChars = 2000): string {
  const cut = text.length > maxChars ? `${text.slice(0, maxChars)}…` : text;
  return cut.replace(hidden, (letter) => {
    const code = letter.codePointAt(0)!.toString(16);
    return code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u{${code}}`;
  });
}

/** `printable` on one line. */
export function printableLine(text: string, maxChars = 200): string {
  return printable(text.replace(/\s+/g, ' ').trim(), maxChars);
}
