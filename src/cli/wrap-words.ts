// Breaks a line between words, where a terminal would break it within one. Pure.

const DEFAULT_COLUMNS = 80;

/** A word that is longer than a line has one of its own, and is left whole. */
export function wrapWords(text: string, columns: number | undefined): string[] {
  // A terminal that does not know says 0.
  const most = columns || DEFAULT_COLUMNS;
  const indent = /^ */.exec(text)![0];
  const [first = '', ...words] = text.slice(indent.length).split(' ');
  const lines: string[] = [];
  let line = indent + first;
  for (const word of words) {
    if (line.length + 1 + word.length > most) {
      lines.push(line);
      line = word;
    } else line += ` ${word}`;
  }
  return [...lines, line];
}
