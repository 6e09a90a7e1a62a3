// Here-documents: `<<NAME`, `<<-NAME`, `<<'NAME'`, found in a line that may have them.

import { expand } from './expand.ts';
import type { Heredoc } from './instruction.ts';
import { Problem, quote } from './problem.ts';

const FORM = /^(\d*)<<(-?)[\t\n\f\r ]*([^<]*)$/;
const NOTHING: ReadonlyMap<string, string> = new Map();

/** null: the word is none. Throws a `Problem` for one whose quotes don't close. */
export function parseHeredoc(word: string): Omit<Heredoc, 'content'> | null {
  const match = FORM.exec(word);
  const rest = match?.[3];
  if (!match || !rest) return null;
  const plain = expand(rest, NOTHING, { keepUnset: true }).words;
  if (plain.length !== 1) return null;
  const raw = expand(rest, NOTHING, { keepUnset: true, rawQuotes: true }).words;
  if (raw.length !== 1) throw new Problem(`${quote(word)} is not a here-document: one name was expected`);
  const name = plain[0]!;
  return {
    name,
    // Quotes that vanish quoted part of the name: then its content is taken as it is.
    expand: countQuotes(name) === countQuotes(raw[0]!),
    chomp: match[2] === '-',
    fileDescriptor: Math.min(Number(match[1] || 0), 0xffff_ffff),
  };
}

/** Throws a `Problem`. */
export function heredocsOfLine(line: string): Omit<Heredoc, 'content'>[] {
  let words: string[];
  try {
    ({ words } = expand(line, NOTHING, { rawQuotes: true, rawEscapes: true, keepUnset: true }));
  } catch (error) {
    // A line of shell may be more than the lexer understands: then it has none.
    if (!(error instanceof Problem)) throw error;
    return [];
  }
  return words.flatMap((word) => parseHeredoc(word) ?? []);
}

/** Is the word a here-document, whatever is wrong with it? */
export function isHeredoc(word: string): boolean {
  return asHeredoc(word) !== null;
}

export function asHeredoc(word: string): Omit<Heredoc, 'content'> | null {
  try {
    return parseHeredoc(word);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return null;
  }
}

/** Without the leading tabs of each line, which `<<-` takes away. */
export function chompContent(content: string): string {
  return content.replace(/(^|\n)\t+/g, '$1');
}

function countQuotes(text: string): number {
  return text.split(/['"]/).length;
}
