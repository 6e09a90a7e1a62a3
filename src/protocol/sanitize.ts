// Makes foreign text safe to show: what a terminal would obey, or what hides or reorders letters, becomes a
// visible escape. Newlines and tabs stay. Used wherever words of a guest or of a commit reach a person.

/** C0 and C1 controls, DEL, bidirectional controls, zero-width and other invisible format characters. */
const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

export function sanitize(text: string): string {
  return text.replaceAll(UNSAFE, (char) => {
    const code = char.codePointAt(0)!;
    return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** The same, for text that must stay on its line. */
export function sanitizeLine(text: string): string {
  return sanitize(text).replaceAll('\n', '\\n').replaceAll('\t', '\\t');
}
