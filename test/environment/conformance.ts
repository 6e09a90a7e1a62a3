// Rows of the facts, each tried: who prints "N of M" and who tests use the same.

import { isDeepStrictEqual } from 'node:util';
import { expand } from '../../src/environment/dockerfile/expand.ts';
import { parseIgnore } from '../../src/environment/dockerfile/ignore.ts';
import type { Instruction } from '../../src/environment/dockerfile/instruction.ts';
import { compilePathPattern } from '../../src/environment/dockerfile/path-pattern.ts';
import { readLines } from '../../src/environment/dockerfile/read-lines.ts';
import { attempt, isProblem, isRefusal, readFacts } from './facts.ts';
import { instructionRows } from './instruction-rows.ts';

export interface Row {
  table: string;
  name: string;
  expected: unknown;
  actual: unknown;
}

interface ExpandFacts {
  environment: Record<string, string>;
  texts: [word: string, text: string | null][];
  words: [word: string, env: Record<string, string>, words: string[] | null][];
  names: [
    word: string,
    env: Record<string, string>,
    text: string | null,
    matched: string[],
    unmatched: string[],
  ][];
}

interface Shape {
  keyword: string;
  flags?: string[];
  args?: string[];
  trigger?: Shape;
}

interface DockerfileFacts {
  read: { name: string; lines: string[]; instructions: Shape[] }[];
  refused: { name: string; text: string }[];
}

interface PatternFacts {
  ignored: [patterns: string[], path: string, ignored: boolean | null][];
  'matched by filepath.Match': [pattern: string, path: string, matched: boolean | null][];
}

export function conformanceRows(): Row[] {
  return [...expansionRows(), ...parserRows(), ...patternRows(), ...instructionRows()];
}

export function passes({ expected, actual }: Row): boolean {
  return isDeepStrictEqual(actual, expected);
}

/** "230 of 230", by table. */
export function countByTable(rows: Row[]): Map<string, { passed: number; all: number }> {
  const counts = new Map<string, { passed: number; all: number }>();
  for (const row of rows) {
    const count = counts.get(row.table) ?? { passed: 0, all: 0 };
    counts.set(row.table, { passed: count.passed + (passes(row) ? 1 : 0), all: count.all + 1 });
  }
  return counts;
}

function expansionRows(): Row[] {
  const { environment, texts, words, names } = readFacts<ExpandFacts>('expand.json');
  const fixed = new Map(Object.entries(environment));
  return [
    ...texts.map(([word, expected]) => ({
      table: 'expansion: texts',
      name: word,
      expected,
      actual: attempt(() => expand(word, fixed).text, isProblem),
    })),
    ...words.map(([word, env, expected]) => ({
      table: 'expansion: words',
      name: word,
      expected,
      actual: attempt(() => expand(word, new Map(Object.entries(env))).words, isProblem),
    })),
    ...names.map(([word, env, text, matched, unmatched]) => ({
      table: 'expansion: names',
      name: word,
      expected: text === null ? null : [text, matched.toSorted(), unmatched.toSorted()],
      actual: attempt(() => {
        const expanded = expand(word, new Map(Object.entries(env)));
        return [expanded.text, [...expanded.matched].sort(), [...expanded.unmatched].sort()];
      }, isProblem),
    })),
  ];
}

function parserRows(): Row[] {
  const { read, refused } = readFacts<DockerfileFacts>('dockerfiles.json');
  return [
    ...read.map(({ name, lines, instructions }) => ({
      table: 'parser: read',
      name,
      expected: instructions,
      actual: attempt(() => readLines(lines.join(''), name).instructions.map(shapeOf), isRefusal),
    })),
    ...refused.map(({ name, text }) => ({
      table: 'parser: refused',
      name,
      expected: null,
      actual: attempt(() => readLines(text, name).instructions.map(shapeOf), isRefusal),
    })),
  ];
}

function patternRows(): Row[] {
  const facts = readFacts<PatternFacts>('patterns.json');
  return [
    ...facts.ignored.map(([patterns, path, expected]) => ({
      table: '.dockerignore: ignored',
      name: `${patterns.join(' ')} of ${path}`,
      expected,
      actual: attempt(() => parseIgnore(patterns.join('\n')).ignores(path), isRefusal),
    })),
    ...facts['matched by filepath.Match'].map(([pattern, path, expected]) => ({
      table: 'filepath.Match',
      name: `${pattern} of ${path}`,
      expected,
      actual: attempt(() => compilePathPattern(pattern)(path), isProblem),
    })),
  ];
}

function shapeOf({ keyword, flags, args, trigger }: Instruction): Shape {
  return {
    keyword: keyword.toUpperCase(),
    ...(flags.length > 0 && { flags }),
    ...(trigger !== null ? { trigger: shapeOf(trigger) } : args.length > 0 && { args }),
  };
}
