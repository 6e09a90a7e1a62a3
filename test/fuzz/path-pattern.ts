// A pattern of .dockerignore: compiled or refused; the quick way of matching and the bounded one say the same.

import { compileGlob, matchesWhole, NOT_SLASH, type Token } from '../../src/environment/dockerfile/glob.ts';
import { parseIgnore } from '../../src/environment/dockerfile/ignore.ts';
import { WarrenError } from '../../src/protocol/error.ts';

export const seeds = [
  'a/**\n!a/b\n',
  '**/*.log\n#c\n[a-c]?x\n',
  '\\*\n!**/n[^x]\n/abs/../y/\n',
  'a*b*c*d*e*f*g\n',
];

const PATHS = ['a', 'a/b', 'a/b/c.log', 'xax', 'y', '*', 'node_modules/a/b/x.js', `${'a'.repeat(200)}/b`];

export function run(bytes: Buffer): void {
  compare(bytes);
  try {
    const rules = parseIgnore(bytes);
    for (const path of PATHS) {
      const { ignored, matched } = rules.judge(path, null);
      if (!path.includes('/') && rules.ignores(path) !== ignored) throw new Error(`two answers for ${path}`);
      if (matched.length !== rules.patterns.length) throw new Error('a pattern without an answer');
    }
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error;
  }
}

/** Tokens out of the bytes. */
function compare(bytes: Buffer): void {
  const tokens = [...bytes.subarray(0, 12)].map((byte): Token => {
    if (byte % 4 === 0) return { kind: 'many', of: NOT_SLASH };
    if (byte % 4 === 1) return { kind: 'one', of: NOT_SLASH };
    return byte % 4 === 2 ? { kind: 'folders' } : { kind: 'character', value: 'ab/x'[byte % 3]! };
  });
  const quick = compileGlob(tokens);
  for (const path of PATHS)
    if (quick(path) !== matchesWhole(tokens, path)) throw new Error(`two answers for ${path}`);
}
