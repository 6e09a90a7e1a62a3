// Directives: the comments at the very top that mean something.

import type { Directives } from './instruction.ts';
import { Problem, quote } from './problem.ts';
import { trimLeft } from './whitespace.ts';

const NAMES = ['check', 'escape', 'syntax'];
/** Go's `\s`, and a dot that is no newline. */
const FORM = /^([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*([^\n]+?)[\t\n\f\r ]*$/;

/** Line by line from the top; done at the first line that is no directive. */
export class DirectiveReader {
  private isDone = false;
  private readonly seen = new Set<string>();
  private readonly comment: string;

  constructor(comment = '#') {
    this.comment = comment;
  }

  /** null: it is none. Throws a `Problem` for one that was there before. */
  read(line: string): { name: string; value: string } | null {
    if (this.isDone) return null;
    const match = line.startsWith(this.comment) ? FORM.exec(trimLeft(line.slice(this.comment.length))) : null;
    const name = match?.[1]?.toLowerCase();
    if (match === null || name === undefined || !NAMES.includes(name)) {
      this.isDone = true;
      return null;
    }
    if (this.seen.has(name))
      throw new Problem(`the directive ${quote(name)} stands here twice: once was expected`);
    this.seen.add(name);
    return { name, value: match[2]! };
  }
}

/** A `syntax` or `check` directive, below a `#!` too; null: there is none. `syntax` may stand in other languages' ways. */
export function findDirective(
  text: string,
  name: 'syntax' | 'check',
): { value: string; line: number } | null {
  const isScript = text.startsWith('#!');
  const body = isScript ? text.slice(text.indexOf('\n') < 0 ? text.length : text.indexOf('\n') + 1) : text;
  for (const comment of name === 'syntax' ? ['#', '//'] : ['#']) {
    const reader = new DirectiveReader(comment);
    let line = isScript ? 1 : 0;
    try {
      for (const raw of body.split('\n', NAMES.length + 1)) {
        line++;
        const found = reader.read(raw.replace(/\r$/, ''));
        if (found === null) break;
        if (found.name === name) return { value: found.value, line };
      }
    } catch (error) {
      // The parser proper tells of it.
      if (!(error instanceof Problem)) throw error;
    }
  }
  return name === 'syntax' ? fromJson(body) : null;
}

function fromJson(text: string): { value: string; line: number } | null {
  if (!text.startsWith('{')) return null;
  try {
    const { syntax } = JSON.parse(text) as { syntax?: unknown };
    return typeof syntax === 'string' ? { value: syntax, line: 1 } : null;
  } catch {
    return null;
  }
}

export function readDirectives(text: string, escapeToken: Directives['escape']): Directives {
  return {
    syntax: findDirective(text, 'syntax')?.value ?? null,
    escape: escapeToken,
    check: findDirective(text, 'check')?.value ?? null,
  };
}
