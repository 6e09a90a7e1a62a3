// Values taken out of a body as it passes, in pieces of any size, some of them known only once the body has begun. No value
// passes whole that was known before its first byte; what is hidden keeps its length, and nothing else changes. The first
// byte of an input says how many values there are, each has its length before it, the rest is the body: letters, cuts, and
// places where one more value is known.

import assert from 'node:assert/strict';
import type { Transform } from 'node:stream';
import { MaskingStream } from '../../src/egress/secret/mask.ts';
import { ReplacingStream } from '../../src/egress/secret/replace.ts';
import type { Ran } from './target.ts';

const LETTERS = 'ab-';
const CUT = 3;
const LEARN = 4;
const KINDS = 5;
const MOST_VALUES = 3;
const MOST_LETTERS = 9;
/** So many bytes of a value may be gone before it is known to be one. */
const LET_GO = 2;
/** In no value. */
const MASK = '*';

const word = (text: string) => [text.length - 1, ...[...text].map((letter) => LETTERS.indexOf(letter))];
const body = (text: string) =>
  [...text].map((letter) => (letter === '|' ? CUT : letter === '+' ? LEARN : LETTERS.indexOf(letter)));
const seed = (values: string[], text: string) =>
  Buffer.from([values.length - 1, ...values.flatMap(word), ...body(text)]);
export const seeds = [
  seed(['aab'], '+a|a|bab-aab'),
  seed(['ab', 'abba'], '++ab|ba-abb|a'),
  seed(['a-a-a', 'aa', 'b'], '+a-a|-+a-a-|a+ab|b'),
  seed(['aaaaa'], 'aa+aaa|aaaaa|aaa|aaa'),
  // The second value hid, for the search, what had passed of the first.
  seed(['baaaa', 'b'], '+b+aaa|a'),
  // What had passed hid what overlaps it.
  seed(['aab-', 'aa'], '+aa+a|a'),
];

interface Piece {
  text: string;
  /** How many values are known by then. */
  known: number;
}

export async function run(bytes: Buffer): Promise<Ran> {
  const { values, pieces } = read(bytes);
  const text = pieces.map((piece) => piece.text).join('');
  let known = 0;
  const listed = () => values.slice(0, known).map((value) => Buffer.from(value));
  const pass = async (stream: Transform) => {
    let out = '';
    stream.on('data', (chunk: Buffer) => {
      out += chunk.toString('latin1');
    });
    for (const piece of pieces) {
      known = piece.known;
      if (piece.text !== '') await new Promise((resolve) => stream.write(piece.text, resolve));
    }
    await new Promise((resolve) => stream.end(resolve));
    return out;
  };
  const masked = await pass(
    new MaskingStream(() => listed().map((find) => ({ find, mask: Buffer.alloc(find.length, MASK) }))),
  );
  assert.equal(masked.length, text.length);
  const places = placesOf(values, pieces, text);
  for (const { from, to, isKnown } of places)
    if (isKnown) assert.notEqual(masked.slice(from, to), text.slice(from, to));
  // Of overlapping ones, one may be what is left of another.
  for (const place of places) {
    const { from, to, isKnown } = place;
    const isAlone = places.every((other) => other === place || other.to <= from || other.from >= to);
    if (isKnown && isAlone) assert.match(masked.slice(from + LET_GO, to), /^\**$/);
  }
  for (let at = 0; at < text.length; at++)
    if (!places.some(({ from, to }) => at >= from && at < to)) assert.equal(masked[at], text[at]);
  const replaced = await pass(
    new ReplacingStream(() => listed().map((find) => ({ find, put: () => Buffer.from(MASK) }))),
  );
  const first = values.slice(0, pieces.find((piece) => piece.text !== '')?.known ?? 0);
  for (const value of first) assert.equal(replaced.includes(value), false);
  if (first.length === 1 && known === 1) assert.equal(replaced, text.replaceAll(first[0]!, MASK));
  return `${values.length} values, ${Math.min(places.length, 4)} places, ${masked === text ? 'nothing' : 'something'} hidden`;
}

function read(bytes: Buffer): { values: string[]; pieces: Piece[] } {
  let at = 0;
  const next = (below: number) => (bytes[at++] ?? 0) % below;
  const letters = (count: number) =>
    Array.from({ length: count }, () => LETTERS[next(LETTERS.length)]).join('');
  const values = Array.from({ length: next(MOST_VALUES) + 1 }, () => letters(next(MOST_LETTERS) + 1));
  let known = 0;
  let piece: Piece = { text: '', known };
  const pieces = [piece];
  while (at < Math.min(bytes.length, 2000)) {
    const kind = next(KINDS);
    if (kind < CUT) piece.text += LETTERS[kind];
    else {
      if (kind === LEARN) known = Math.min(values.length, known + 1);
      piece = { text: '', known };
      pieces.push(piece);
    }
  }
  return { values, pieces };
}

/** Wherever a value is in the body, overlaps included. */
function placesOf(values: readonly string[], pieces: readonly Piece[], text: string) {
  const knownAt = pieces.flatMap((piece) => Array.from(piece.text, () => piece.known));
  return values.flatMap((value, nr) => {
    const places: { from: number; to: number; isKnown: boolean }[] = [];
    for (let from = text.indexOf(value); from >= 0; from = text.indexOf(value, from + 1))
      places.push({ from, to: from + value.length, isKnown: knownAt[from]! > nr });
    return places;
  });
}
