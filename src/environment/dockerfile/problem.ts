// What is wrong with a Dockerfile, and where: one error for all of it.

import { WarrenError } from '../../protocol/error.ts';
import type { Position } from './instruction.ts';
import { nearest } from './suggest.ts';

const QUOTED_MAX_CHARS = 120;

/** The way out for what the builder does not do. */
export const OTHER_BUILDER = 'build it with your own engine: warren up --builder docker';

export interface ProblemOptions {
  /** What stood there, and what may be there instead: the nearest is offered. */
  found?: string;
  expected?: Iterable<string>;
  remedy?: string;
}

/** Thrown while only the text is known; whoever knows the file and the place makes an error of it. */
export class Problem extends Error {
  readonly options: ProblemOptions;
  /** Part of the instruction that it is about: its place is where the error points. */
  readonly at: string | null;

  constructor(message: string, options: ProblemOptions & { at?: string } = {}) {
    super(message);
    this.options = options;
    this.at = options.at ?? null;
  }
}

/** `environment.dockerfile`: file, line, column, what was found and what was expected. */
export function dockerfileError(
  file: string,
  { line, column }: Position,
  message: string,
  { found, expected, remedy }: ProblemOptions = {},
): WarrenError {
  const options = expected === undefined ? null : [...expected].sort();
  const near = options !== null && found !== undefined ? nearest(found, options) : null;
  const hint = near === null ? '' : ` (did you mean ${near}?)`;
  return new WarrenError({
    code: 'environment.dockerfile',
    message: `${file}:${line}:${column}: ${message}${hint}`,
    remedy: remedy ?? `correct line ${line} of ${file}`,
    details: {
      file,
      line,
      column,
      ...(found !== undefined && { found: clip(found) }),
      ...(options !== null && { expected: options.slice(0, 50) }),
    },
  });
}

/** For messages: foreign text, on one line, not endless. */
export function quote(text: string): string {
  return JSON.stringify(clip(text));
}

function clip(text: string): string {
  return text.length > QUOTED_MAX_CHARS ? `${text.slice(0, QUOTED_MAX_CHARS)}…` : text;
}
