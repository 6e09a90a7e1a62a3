// One logical line of a Dockerfile, taken apart: keyword, flags, and arguments by the rules of the keyword.

import { Problem, quote } from './problem.ts';
import { BETWEEN_WORDS, cutAtSpace, isSpace, trim } from './whitespace.ts';

export interface SplitLine {
  keyword: string;
  flags: string[];
  rest: string;
}

export function splitLine(line: string, escapeToken: string): SplitLine {
  const [keyword, after] = cutAtSpace(trim(line));
  if (after === null) return { keyword, flags: [], rest: '' };
  const { flags, rest } = takeFlags(after, escapeToken);
  return { keyword, flags, rest: trim(rest) };
}

/** The words at the beginning that start with `--`, without their quotes; a lone `--` ends them. */
function takeFlags(text: string, escapeToken: string): { flags: string[]; rest: string } {
  const flags: string[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && isSpace(text[at]!)) at++;
    if (at === text.length) return { flags, rest: '' };
    if (!text.startsWith('--', at)) return { flags, rest: text.slice(at) };
    let word = '';
    let quoted: string | null = null;
    for (; at < text.length; at++) {
      const character = text[at]!;
      if (quoted === null && isSpace(character)) break;
      if (character === quoted) quoted = null;
      else if (quoted === null && (character === "'" || character === '"')) quoted = character;
      else if (character !== escapeToken) word += character;
      else if (at + 1 < text.length) word += text[++at]!;
    }
    // At the end of the line a lone `--` is nothing either.
    if (word === '--') return { flags, rest: text.slice(at) };
    flags.push(word);
  }
}

/** Words with their quotes and escapes: these are taken away when variables are filled in. */
export function quotedWords(text: string, escapeToken: string): string[] {
  const words: string[] = [];
  const characters = [...text];
  let at = 0;
  for (;;) {
    while (at < characters.length && isSpace(characters[at]!)) at++;
    if (at === characters.length) return words;
    let word = '';
    let quoted: string | null = null;
    let wasQuoted = false;
    for (; at < characters.length; at++) {
      const character = characters[at]!;
      if (quoted === null && isSpace(character)) break;
      if (quoted === character) quoted = null;
      else if (quoted === null && (character === "'" || character === '"')) {
        quoted = character;
        wasQuoted = true;
      } else if (character === escapeToken && quoted !== "'") {
        // An escape at the end is nothing.
        if (at + 1 === characters.length) continue;
        word += character + characters[++at]!;
        continue;
      }
      word += character;
    }
    if (wasQuoted || word !== '') words.push(word);
  }
}

/** ENV's and LABEL's: `name=value …`, or `name value` of old. Triples. Throws a `Problem`. */
export function namesAndValues(text: string, escapeToken: string, keyword: string): string[] {
  const words = quotedWords(text, escapeToken);
  if (words.length === 0) return [];
  if (!words[0]!.includes('=')) {
    const [name, value] = cutAtSpace(text);
    if (value === null)
      throw new Problem(`${keyword} has a name and no value: name=value was expected, found ${quote(text)}`, {
        at: text,
      });
    return [name, value, ''];
  }
  return words.flatMap((word) => {
    const equals = word.indexOf('=');
    if (equals < 0)
      throw new Problem(`${keyword} has ${quote(word)} where name=value was expected`, { at: word });
    return [word.slice(0, equals), word.slice(equals + 1), '='];
  });
}

export function plainWords(text: string): string[] {
  return text === '' ? [] : text.split(BETWEEN_WORDS);
}

/** null: it is not JSON. Throws a `Problem` for an array of other things than strings. */
export function parseJsonWords(text: string): string[] | null {
  const start = text.search(/[^\s]/);
  if (text[start] !== '[') return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const wrong = (value as unknown[]).find((element) => typeof element !== 'string');
  if (wrong !== undefined)
    throw new Problem(
      `an array in JSON may hold strings only, found ${quote(JSON.stringify(wrong) ?? '')}: put it in double quotes`,
      { at: text },
    );
  return value as string[];
}
