// What JSON with comments may look like where it decides about security: what two readers would read differently, or
// not survive, is told before anything is read. Limit: 64 levels.

import { createScanner, printParseErrorCode, visit } from 'jsonc-parser';
import { sanitizeLine } from '../../protocol/sanitize.ts';

const MAX_DEPTH = 64;

/** The first objection with its line; null when there is none. */
export function syntaxObjection(text: string): string | null {
  const deep = tooDeep(text);
  if (deep !== null) return at(text, deep, `more than ${MAX_DEPTH} levels`);
  const open: Set<string>[] = [];
  let objection: string | null = null;
  const note = (why: string, offset: number): void => {
    objection ??= at(text, offset, why);
  };
  const begin = (): void => void open.push(new Set());
  const end = (): void => void open.pop();
  visit(
    text,
    {
      onObjectBegin: begin,
      onArrayBegin: begin,
      onObjectEnd: end,
      onArrayEnd: end,
      onObjectProperty: (name, offset) => {
        if (name === '__proto__') note('a key must not be called __proto__', offset);
        if (open.at(-1)?.has(name))
          note(`the key ${JSON.stringify(sanitizeLine(name, 40))} is there twice`, offset);
        open.at(-1)?.add(name);
      },
      onError: (error, offset) => note(inWords(printParseErrorCode(error)), offset),
    },
    { allowTrailingComma: true },
  );
  return objection;
}

const WORDS: Record<string, string> = {
  CloseBracketExpected: 'a ] is missing',
  CloseBraceExpected: 'a } is missing',
  CommaExpected: 'a comma is missing',
  ColonExpected: 'a : is missing after a key',
  PropertyNameExpected: 'a key is missing, or it has no quotes',
  ValueExpected: 'a value is missing',
  EndOfFileExpected: 'something follows the end',
  InvalidSymbol: 'a word that is no value: texts have quotes',
  UnexpectedEndOfString: 'a text has no closing quote',
};

function inWords(code: string): string {
  return WORDS[code] ?? code.replace(/[A-Z]/g, (letter, at) => (at ? ' ' : '') + letter.toLowerCase());
}

/** Where it gets too deep. Apart from the rest, because readers go down by calling themselves. */
function tooDeep(text: string): number | null {
  const scanner = createScanner(text, true);
  let depth = 0;
  for (scanner.scan(); scanner.getTokenOffset() < text.length; scanner.scan()) {
    const first = text[scanner.getTokenOffset()];
    if (first === '{' || first === '[') depth++;
    if (first === '}' || first === ']') depth--;
    if (depth > MAX_DEPTH) return scanner.getTokenOffset();
  }
  return null;
}

function at(text: string, offset: number, why: string): string {
  return `line ${text.slice(0, offset).split('\n').length}: ${why}`;
}
