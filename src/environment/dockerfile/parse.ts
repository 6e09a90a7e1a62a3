// The text of a Dockerfile → its stages, or an error that says where and what was expected.

import type { Instruction } from './instruction.ts';
import { dockerfileLimits as limits } from './limits.ts';
import { dockerfileError, Problem, type ProblemOptions } from './problem.ts';
import { positionOf, readLines } from './read-lines.ts';
import { readStatement } from './read-statement.ts';
import type { ParsedDockerfile, Statement } from './statement.ts';

/** `file`: as messages name it. Throws `environment.dockerfile`. */
export function parseDockerfile(content: string | Buffer, file = 'Dockerfile'): ParsedDockerfile {
  const { directives, instructions, warnings } = readLines(content, file);
  const parsed: ParsedDockerfile = { file, directives, globalArgs: [], stages: [], warnings };
  for (const at of instructions) {
    const statement = within(file, at, () => readStatement(at));
    if (statement.kind === 'from') {
      parsed.stages.push({ from: statement, statements: [] });
      if (parsed.stages.length > limits.stages)
        throw problemAt(file, at, `there are more than ${limits.stages} stages`);
      continue;
    }
    const stage = parsed.stages.at(-1);
    if (stage !== undefined) stage.statements.push(statement);
    else if (statement.kind === 'arg') parsed.globalArgs.push(statement);
    else throw problemAt(file, at, `${at.keyword.toUpperCase()} stands before the first FROM: only ARG may`);
  }
  if (parsed.stages.length === 0)
    throw problemAt(file, instructions.at(-1)!, 'there is no FROM: one was expected');
  return parsed;
}

/** An ONBUILD trigger, as an image's configuration has it. Its place is that of the FROM which called for it. */
export function parseTrigger(expression: string, file: string, from: Instruction): Statement {
  return within(file, from, () => {
    const what = `the image has an ONBUILD trigger that`;
    try {
      const { instructions } = readLines(expression, file);
      const [only, ...more] = instructions;
      if (more.length > 0) throw new Problem(`${what} is more than one instruction`);
      const statement = readStatement({ ...only!, position: from.position, endLine: from.endLine });
      if (statement.kind === 'from') throw new Problem(`${what} is a FROM`);
      return statement;
    } catch (error) {
      if (error instanceof Problem && error.at === null) throw error;
      throw new Problem(`${what} cannot be read: ${(error as Error).message}`);
    }
  });
}

/** A `Problem` that is thrown inside becomes an error with its place. */
export function within<T>(file: string, at: Instruction, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw problemAt(file, at, error.message, error.options, error.at);
  }
}

function problemAt(
  file: string,
  at: Instruction,
  message: string,
  options: ProblemOptions = {},
  part: string | null = null,
) {
  const position = (part === null ? null : positionOf(at, part)) ?? at.position;
  return dockerfileError(file, position, message, options);
}
