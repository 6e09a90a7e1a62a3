// What is wrong with a Dockerfile is said with its place, what was expected, and a way out.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WarrenError } from '../../src/protocol/error.ts';
import { planOf } from './plan.ts';

const WRONG: [text: string, place: string, says: RegExp][] = [
  ['', '1:1', /no instructions: FROM was expected/],
  ['RUN x', '1:1', /RUN stands before the first FROM/],
  ['ARG A', '1:1', /there is no FROM/],
  ['FROM a\nRUNN x', '2:1', /unknown instruction "RUNN" \(did you mean RUN\?\)/],
  ['FROM a\n  COPY --form=x a b', '2:8', /no flag --form \(did you mean --from\?\)/],
  ['FROM a\nCOPY --link=maybe a b', '2:6', /true or false was expected/],
  ['FROM a\nCOPY --from a b', '2:6', /--from=VALUE was expected/],
  ['FROM a\nRUN x \\\n  y \\\n  --z\nCOPY a', '5:1', /SOURCE… DEST was expected/],
  ['FROM a\nENV A=1 \\\n    B', '3:5', /"B" where name=value was expected/],
  ['FROM a\nRUN \\\n  --mount=type=cach,target=/x y', '3:16', /did you mean cache\?/],
  ['FROM a\nCMD ["a", 1]', '2:5', /strings only/],
  ['FROM a\nRUN <<E\nx', '2:7', /here-document "E" does not end/],
  ['FROM a\nEXPOSE 80/tpc', '2:8', /did you mean tcp\?/],
  ['FROM a\nLABEL a=${A', '2:9', /"}" was expected/],
  ['FROM a\nCOPY a ${A:?set-A}', '2:8', /A: set-A/],
  ['FROM a\nCOPY --chmod=9 a b', '2:6', /octal digits/],
  ['FROM a AS 1', '1:11', /cannot name a stage/],
  ['FROM A:b', '1:6', /has capital letters/],
  ['FROM a AS b\nFROM B', '2:6', /did you mean b\?/],
  ['FROM $X', '1:6', /is empty/],
  ['FROM --platform=x86 a', '1:17', /neither a system nor an architecture/],
  ['FROM a\nCOPY --from=$X a b', '2:13', /no variables can stand there/],
  ['FROM a\nCOPY --from=1 a b', '2:6', /from 0 to 0 was expected/],
  ['FROM a AS x\nCOPY --from=x a b', '1:1', /in a circle: x needs x/],
  ['FROM a AS x\nCOPY --from=y a b\nFROM x AS y', '1:1', /in a circle: x needs y needs x/],
  [
    'FROM a AS x\nCOPY --from=y a b\nFROM a AS y\nFROM x',
    '1:1',
    /reads from y, which stands after it \(line 3\)/,
  ],
  ['# escape=x\nFROM a', '1:1', /cannot be the escape character/],
  ['# escape=`\n# escape=`\nFROM a', '2:1', /twice/],
  ['FROM a\nSTOPSIGNAL SIGFOO', '2:1', /a signal like SIGTERM/],
  ['FROM a\nONBUILD FROM b', '2:9', /cannot trigger FROM/],
  ['FROM a\nRUN \uFFFD', '2:5', /not UTF-8/],
];

describe('a Dockerfile that is wrong', () => {
  for (const [text, place, says] of WRONG)
    it(`${JSON.stringify(text)} at ${place}`, () => {
      const error = refusalOf(text);
      assert.equal(error.code, 'environment.dockerfile');
      assert.match(error.message, says);
      assert.ok(error.message.startsWith(`Dockerfile:${place}: `), error.message);
      assert.ok(error.remedy);
    });

  it('asks for what only other builders do: they are named', () => {
    for (const line of [
      'RUN --security=insecure x',
      'RUN --device=x y',
      'RUN --network=host x',
      'ADD --keep-git-dir https://x/y.git z',
      'ADD https://x/y.git z',
      'ADD git@x:y z',
    ])
      assert.match(refusalOf(`FROM a\n${line}`).remedy!, /--builder docker/, line);
  });

  it('is too much: refused, and soon', () => {
    const doubling = Array.from({ length: 40 }, () => 'ENV A=$A$A').join('\n');
    const nested = `${'${A:-'.repeat(5000)}x${'}'.repeat(5000)}`;
    for (const text of [
      `FROM a\nENV A=xxxxxxxx\n${doubling}`,
      `FROM a\nLABEL a=${nested}`,
      `FROM a\n${'ONBUILD '.repeat(7000)}RUN x`,
      'RUN x\n'.repeat(6000),
      `FROM a\nRUN ${'x'.repeat(70_000)}`,
      `FROM a\n${'#\n'.repeat(30_000)}`,
      'x'.repeat(2_000_000),
      `FROM a\nARG A=${'a'.repeat(20_000)}\nLABEL b=\${A/${'*a'.repeat(2000)}b/x}`,
    ])
      assert.equal(refusalOf(text).code, 'environment.dockerfile', text.slice(0, 40));
  });
});

function refusalOf(text: string): WarrenError {
  try {
    planOf(text);
  } catch (error) {
    if (error instanceof WarrenError) return error;
    throw error;
  }
  return assert.fail(`planned: ${text.slice(0, 100)}`);
}
