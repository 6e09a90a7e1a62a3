// How deep JSON goes, before anybody reads it who goes down by calling himself. Pure.

import { createScanner } from 'jsonc-parser';

export const DEPTH_MAX = 64;

/** Where the first level beyond `DEPTH_MAX` begins; null: there is none. Takes time in proportion to the text. */
export function tooDeep(text: string): number | null {
  const scanner = createScanner(text, true);
  let depth = 0;
  // A comment without an end leaves the scanner beyond the text, where there is no end of it either.
  for (scanner.scan(); scanner.getTokenOffset() < text.length; scanner.scan()) {
    const first = text[scanner.getTokenOffset()];
    if (first === '{' || first === '[') depth++;
    else if (first === '}' || first === ']') depth--;
    if (depth > DEPTH_MAX) return scanner.getTokenOffset();
  }
  return null;
}
