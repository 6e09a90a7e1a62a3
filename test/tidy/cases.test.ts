// The table of numbered cases in docs/SECURITY.md: none is missing, none twice, and each names a test that is there and
// says what the table says of it.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { ATTACKS } from '../../src/sandbox/attack/attacks.ts';

/** Of the threat model; gaps are deliberate. */
const CASES: Record<string, number[]> = {
  NE: [
    ...[
      1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 14, 15, 16, 18, 19, 21, 22, 23, 25, 26, 27, 28, 30, 31, 32, 33, 34,
    ],
    ...[35, 36, 37, 39, 40, 41],
  ],
  DN: [43, 44, 46, 47, 48],
  SE: [49, 50, 52, 53, 55, 56, 57, 59, 60],
  AP: [61, 62, 63, 65, 67, 68, 69],
  FT: [77],
  GH: [86],
  VH: [96, 98, 99, 100, 102, 104],
  DA: [105, 111],
  MU: [117],
  UI: [119],
};

interface Row {
  id: string;
  expected: string;
  tests: { file: string; words: string | null }[];
}

const rows: Row[] = readFileSync('docs/SECURITY.md', 'utf8')
  .split('\n')
  .flatMap((line) => {
    const [, id, expected, tests] = /^\| ([A-Z]{2} \d+) \| (.+?) \| (`.*) \|$/.exec(line) ?? [];
    if (id === undefined) return [];
    const named = [...tests!.matchAll(/`([^`]+)`(?: “([^”]+)”)?/g)];
    return [
      {
        id,
        expected: expected!,
        tests: named.map(([, file, words]) => ({ file: file!, words: words ?? null })),
      },
    ];
  });

describe('the numbered cases', () => {
  it('are all in the table, once', () => {
    const wanted = Object.entries(CASES).flatMap(([group, numbers]) =>
      numbers.map((number) => `${group} ${number}`),
    );
    assert.deepEqual(
      rows.map(({ id }) => id),
      wanted,
    );
  });

  for (const { id, expected, tests } of rows)
    it(`${id} names tests that are there`, () => {
      assert.ok(expected.length > 10);
      assert.ok(tests.length > 0);
      for (const { file, words } of tests) {
        assert.ok(existsSync(file), `${file} is not there`);
        if (words !== null)
          assert.ok(readFileSync(file, 'utf8').includes(words), `${file} does not say “${words}”`);
      }
    });

  it('that `doctor --attack` runs are in it, with its test', () => {
    for (const { id } of ATTACKS) {
      const row = rows.find((each) => each.id === id);
      assert.ok(
        row?.tests.some(({ file }) => file === 'test/vm/attack.test.ts'),
        `${id} of src/sandbox/attack/`,
      );
    }
  });
});
