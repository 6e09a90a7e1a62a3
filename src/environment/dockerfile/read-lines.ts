// The text of a Dockerfile → its instructions: continuations joined, comments gone, here-documents attached.
// The text is a repository's, so foreign: limits on all of it.

import { DirectiveReader, readDirectives } from './directives.ts';
import { heredocsOfLine } from './heredoc.ts';
import type { Directives, DockerfileLines, Heredoc, Instruction, Position, Segment } from './instruction.ts';
import { dockerfileLimits as limits } from './limits.ts';
import { dockerfileError, Problem, quote } from './problem.ts';
import { mayHaveHeredocs, readLine } from './read-line.ts';
import { trim, trimLeft } from './whitespace.ts';

/** `file`: for messages. Throws `environment.dockerfile`. */
export function readLines(content: string | Buffer, file: string): DockerfileLines {
  const bytes = typeof content === 'string' ? Buffer.byteLength(content) : content.length;
  if (bytes > limits.fileBytes)
    throw dockerfileError(
      file,
      { line: 1, column: 1 },
      `the file has ${bytes} bytes: ${limits.fileBytes} at most were expected`,
    );
  return new LineReader(content.toString('utf8').replace(/^\uFEFF/, ''), file).read();
}

class LineReader {
  private readonly text: string;
  private readonly file: string;
  /** With their line ends. */
  private readonly lines: string[];
  private next = 0;
  private escape: Directives['escape'] = '\\';
  private heredocCount = 0;
  private readonly directives = new DirectiveReader();
  private readonly found: DockerfileLines['instructions'] = [];
  private readonly warnings: DockerfileLines['warnings'] = [];

  constructor(text: string, file: string) {
    this.text = text;
    this.file = file;
    this.lines = text.split(/(?<=\n)/);
  }

  read(): DockerfileLines {
    if (this.lines.length > limits.lines)
      this.fail({ line: limits.lines, column: 1 }, `the file has more than ${limits.lines} lines`);
    while (this.next < this.lines.length) this.readInstruction();
    if (this.found.length === 0)
      this.fail({ line: Math.max(1, this.next), column: 1 }, 'there are no instructions: FROM was expected');
    return {
      directives: readDirectives(this.text, this.escape),
      instructions: this.found,
      warnings: this.warnings,
    };
  }

  private readInstruction(): void {
    const raw = this.take();
    const line = withoutLineEnd(raw);
    const start = trimLeft(line);
    const position: Position = { line: this.next, column: line.length - start.length + 1 };
    this.within(position, () => this.readDirective(start));
    if (start === '' || start.startsWith('#')) return;
    const segments: Segment[] = [{ offset: 0, position }];
    const text = this.joinContinuations(start, segments);
    this.within(
      position,
      () => {
        const place = { segments, endLine: this.next };
        if (text.includes('\uFFFD')) throw new Problem('the text is not UTF-8', { at: '\uFFFD' });
        const instruction = readLine(text, this.escape, place);
        this.found.push(instruction);
        if (this.found.length > limits.instructions)
          throw new Problem(`there are more than ${limits.instructions} instructions`);
        if (mayHaveHeredocs(instruction) && text.includes('<<'))
          instruction.heredocs = heredocsOfLine(text).map((heredoc) => this.readHeredoc(heredoc));
        instruction.endLine = this.next;
      },
      text,
      segments,
    );
  }

  private joinContinuations(first: string, segments: Segment[]): string {
    let [text, goesOn] = this.cutContinuation(first);
    let hasEmpty = false;
    while (goesOn && this.next < this.lines.length) {
      const line = withoutLineEnd(this.take());
      const content = trimLeft(line);
      if (content.startsWith('#')) continue;
      if (content === '') {
        hasEmpty = true;
        continue;
      }
      segments.push({ offset: text.length, position: { line: this.next, column: 1 } });
      const [part, more] = this.cutContinuation(line);
      text += part;
      goesOn = more;
    }
    if (hasEmpty)
      this.warnings.push({ line: this.next, message: `an empty line inside of ${quote(trim(text))}` });
    return text;
  }

  /** The escape at the end of a line, unless it is escaped itself: the line goes on. */
  private cutContinuation(line: string): [string, boolean] {
    let end = line.length;
    while (end > 0 && ' \t'.includes(line[end - 1]!)) end--;
    const goesOn = line[end - 1] === this.escape && line[end - 2] !== this.escape;
    return goesOn ? [line.slice(0, end - 1), true] : [line, false];
  }

  private readDirective(line: string): void {
    const directive = this.directives.read(line);
    if (directive?.name !== 'escape') return;
    if (directive.value !== '\\' && directive.value !== '`')
      throw new Problem(`${quote(directive.value)} cannot be the escape character: \\ or \` was expected`, {
        at: directive.value,
      });
    this.escape = directive.value;
  }

  private readHeredoc(heredoc: Omit<Heredoc, 'content'>): Heredoc {
    if (++this.heredocCount > limits.heredocs)
      throw new Problem(`there are more than ${limits.heredocs} here-documents`);
    const content: string[] = [];
    while (this.next < this.lines.length) {
      const line = this.take();
      const end = withoutLineEnd(line);
      if ((heredoc.chomp ? end.replace(/^\t+/, '') : end) === heredoc.name)
        return { ...heredoc, content: content.join('') };
      content.push(line);
    }
    throw new Problem(
      `the here-document ${quote(heredoc.name)} does not end: a line ${quote(heredoc.name)} was expected`,
      {
        at: heredoc.name,
      },
    );
  }

  private take(): string {
    const line = this.lines[this.next++]!;
    if (line.length > limits.lineBytes / 4 && Buffer.byteLength(line) > limits.lineBytes)
      this.fail({ line: this.next, column: 1 }, `the line has more than ${limits.lineBytes} bytes`);
    return line;
  }

  private within(position: Position, act: () => void, text = '', segments: Segment[] = []): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const at = error.at === null ? null : positionOf({ original: text, segments }, error.at);
      throw dockerfileError(this.file, at ?? position, error.message, error.options);
    }
  }

  private fail(position: Position, message: string): never {
    throw dockerfileError(this.file, position, message);
  }
}

/** Where a part of an instruction stands in the file; null: it is not there as it is. */
export function positionOf(
  { original, segments }: Pick<Instruction, 'original' | 'segments'>,
  part: string,
): Position | null {
  const offset = part === '' ? -1 : original.indexOf(part);
  const segment = offset < 0 ? undefined : segments.findLast((candidate) => candidate.offset <= offset);
  if (segment === undefined) return null;
  const { line, column } = segment.position;
  return { line, column: column + offset - segment.offset };
}

function withoutLineEnd(line: string): string {
  let end = line.length;
  while (end > 0 && '\r\n'.includes(line[end - 1]!)) end--;
  return line.slice(0, end);
}
