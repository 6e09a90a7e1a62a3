// Rows of what BuildKit makes of single instructions.

import { findDirective } from '../../src/environment/dockerfile/directives.ts';
import { parseHeredoc } from '../../src/environment/dockerfile/heredoc.ts';
import { parseJsonWords } from '../../src/environment/dockerfile/line-words.ts';
import { parseDockerfile } from '../../src/environment/dockerfile/parse.ts';
import { resolvePath } from '../../src/environment/dockerfile/paths.ts';
import { parsePorts } from '../../src/environment/dockerfile/ports.ts';
import { readLines } from '../../src/environment/dockerfile/read-lines.ts';
import type { Statement } from '../../src/environment/dockerfile/statement.ts';
import type { Row } from './conformance.ts';
import { attempt, isProblem, isRefusal, readFacts } from './facts.ts';
import { planOf } from './plan.ts';

type Facts = Record<string, unknown[][]>;

/** Each table's way from a row to what it expects and what is. */
const TABLES: Record<string, (row: unknown[]) => Pick<Row, 'expected' | 'actual'>> = {
  'here-documents': ([text, expected]) => ({
    expected,
    actual: attempt(() => readLines(text as string, 'f').instructions.at(-1)!.heredocs, isRefusal),
  }),
  words: ([word, expected]) => ({
    expected: expected === 'error' ? 'error' : [expected],
    actual: attempt(() => [parseHeredoc(word as string)?.name ?? null], isProblem) ?? 'error',
  }),
  'syntax directive': ([text, expected]) => directive(text as string, 'syntax', expected),
  'check directive': ([text, expected]) => directive(text as string, 'check', expected),
  'escape directive': ([text, expected]) => ({
    expected,
    actual: readLines(text as string, 'f').directives.escape,
  }),
  'JSON arrays': ([text, expected]) => ({
    expected,
    actual: attempt(() => parseJsonWords(text as string), isProblem) ?? 'error',
  }),
  'instructions refused': ([text]) => ({ expected: null, actual: only(text as string) }),
  'instructions read': ([text]) => ({ expected: true, actual: only(text as string) !== null }),
  COPY: ([text, expected]) => {
    const { dest, sources, inline } = only(text as string) as Extract<Statement, { kind: 'copy' | 'add' }>;
    return { expected, actual: { dest, sources, inline } };
  },
  RUN: ([text, expected]) => {
    const { command, at } = only(text as string) as Extract<Statement, { kind: 'run' }>;
    const documents = at.heredocs.map(({ name, content, chomp }) => [name, content, chomp]);
    return { expected, actual: { ...command, documents } };
  },
  EXPOSE: ([text, expected]) => ({ expected, actual: attempt(() => parsePorts(text as string), isProblem) }),
  WORKDIR: ([current, wanted, expected]) => ({
    expected,
    actual: resolvePath(current as string, wanted as string),
  }),
  'files refused': ([text]) => ({ expected: null, actual: attempt(() => planOf(text as string), isRefusal) }),
  'files planned': ([text]) => ({ expected: true, actual: planOf(text as string) !== null }),
  'git repositories': ([reference, expected]) => ({
    expected,
    // A repository is refused, anything else is a URL or a path.
    actual: attempt(() => planOf(`FROM scratch\nADD ${reference} /`), isRefusal) === null,
  }),
};

export function instructionRows(): Row[] {
  const facts = readFacts<Facts>('instructions.json');
  return Object.entries(TABLES).flatMap(([table, compare]) =>
    facts[table]!.map((row) => ({ table: `instructions: ${table}`, name: String(row[0]), ...compare(row) })),
  );
}

function directive(
  text: string,
  name: 'syntax' | 'check',
  expected: unknown,
): Pick<Row, 'expected' | 'actual'> {
  const found = findDirective(text, name);
  return { expected, actual: found && [found.value, found.line] };
}

/** The one instruction after a FROM; null: refused. */
function only(text: string): Statement | null {
  return attempt(() => parseDockerfile(`FROM scratch\n${text}`).stages[0]!.statements[0]!, isRefusal);
}
