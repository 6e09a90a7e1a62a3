// .dockerignore: which files of a context a build does not see. The last pattern that speaks of a file decides, and
// what is said of a folder is said of all that lies in it.

import { WarrenError } from '../../protocol/error.ts';
import { dockerfileLimits as limits } from './limits.ts';
import { compileIgnorePattern, type PathMatcher } from './path-pattern.ts';
import { cleanPath } from './paths.ts';
import { Problem } from './problem.ts';
import { trim } from './whitespace.ts';

export interface IgnorePattern {
  /** As it is compared, without `!`. */
  text: string;
  isException: boolean;
  matches: PathMatcher;
}

/** Which patterns a folder matched: handed to the look at what lies in it. */
export type Matched = readonly boolean[];

export class IgnoreRules {
  readonly patterns: readonly IgnorePattern[];

  constructor(patterns: IgnorePattern[]) {
    this.patterns = patterns;
  }

  /** `path`: relative to the context, with "/" and without one at its ends. `parent`: of its folder; null at the top. */
  judge(path: string, parent: Matched | null): { ignored: boolean; matched: Matched } {
    let ignored = false;
    const matched = this.patterns.map(({ isException, matches }, index) => {
      const isMatch = parent?.[index] || (isException === ignored && matches(path));
      if (isMatch) ignored = !isException;
      return isMatch;
    });
    return { ignored, matched };
  }

  /** Without a walk: the path's folders are looked at too. */
  ignores(path: string): boolean {
    let matched: Matched | null = null;
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1))
      ({ matched } = this.judge(path.slice(0, slash), matched));
    return this.judge(path, matched).ignored;
  }

  /** A folder that is ignored and for which this is false need not be entered. */
  mayHoldExceptions(folder: string): boolean {
    return this.patterns.some(({ isException, text }) => {
      if (!isException) return false;
      const fixed = text.slice(0, Math.max(0, /[*?[\\]/.exec(text)?.index ?? text.length));
      return `${fixed}/`.startsWith(`${folder}/`) || (fixed !== text && `${folder}/`.startsWith(fixed));
    });
  }
}

/** Where the patterns of a build are: beside its Dockerfile, or else in its context. */
export function ignoreFileNames(dockerfile: string): { beside: string; inContext: string } {
  return { beside: `${dockerfile}.dockerignore`, inContext: '.dockerignore' };
}

/** Throws `environment.dockerignore`. */
export function parseIgnore(content: string | Buffer, file = '.dockerignore'): IgnoreRules {
  const bytes = typeof content === 'string' ? Buffer.byteLength(content) : content.length;
  if (bytes > limits.ignoreFileBytes)
    throw refused(file, 1, `the file has ${bytes} bytes: ${limits.ignoreFileBytes} at most were expected`);
  const patterns: IgnorePattern[] = [];
  const lines = content
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .split('\n');
  for (const [index, line] of lines.entries()) {
    const written = line.startsWith('#') ? '' : trim(line);
    if (written === '') continue;
    if (patterns.length >= limits.ignorePatterns)
      throw refused(file, index + 1, `there are more than ${limits.ignorePatterns} patterns`);
    try {
      patterns.push(compileLine(written));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      throw refused(file, index + 1, error.message);
    }
  }
  return new IgnoreRules(patterns);
}

/** Of COPY's `--exclude`. Throws a `Problem`. */
export function compilePatterns(patterns: readonly string[]): IgnoreRules {
  return new IgnoreRules(
    patterns.flatMap((pattern) => (trim(pattern) === '' ? [] : [compilePattern(cleanPath(trim(pattern)))])),
  );
}

function compileLine(line: string): IgnorePattern {
  const isException = line.startsWith('!');
  const written = isException ? trim(line.slice(1)) : line;
  const clean = written === '' ? '' : cleanPath(written);
  const relative = clean.length > 1 && clean.startsWith('/') ? clean.slice(1) : clean;
  return compilePattern(isException ? `!${relative}` : relative);
}

function compilePattern(pattern: string): IgnorePattern {
  const isException = pattern.startsWith('!');
  const text = isException ? pattern.slice(1) : pattern;
  if (text === '') throw new Problem('"!" stands alone: a pattern was expected');
  return { text, isException, matches: compileIgnorePattern(text) };
}

function refused(file: string, line: number, why: string): WarrenError {
  return new WarrenError({
    code: 'environment.dockerignore',
    message: `${file}:${line}: ${why}`,
    remedy: `correct line ${line} of ${file}`,
    details: { file, line },
  });
}
