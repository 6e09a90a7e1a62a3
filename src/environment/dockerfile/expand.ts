// Variables, quotes and escapes in a word, by the rules of BuildKit's shell lexer: near a POSIX shell's, not the same.
// Splitting into words comes after the variables are filled in.

import { dockerfileLimits } from './limits.ts';
import { Problem, quote } from './problem.ts';
import { removePrefix, removeSuffix, replaceIn } from './shell-pattern.ts';
import { isDigit, isNameCharacter, isSpecialName, missingBrace, unsupported } from './substitution.ts';
import { WordCollector } from './word-collector.ts';

export interface ExpandOptions {
  escape?: string;
  /** Quotes stay in the result. */
  rawQuotes?: boolean;
  /** Escapes stay in the result. */
  rawEscapes?: boolean;
  /** Quotes mean nothing. */
  ignoreQuotes?: boolean;
  /** What has no value stays as it is written; otherwise it is empty. */
  keepUnset?: boolean;
}

export interface Expanded {
  /** All of it, spaces kept. */
  text: string;
  /** Split at spaces that were not quoted. */
  words: string[];
  matched: Set<string>;
  unmatched: Set<string>;
}

/** Throws a `Problem`. */
export function expand(
  word: string,
  env: ReadonlyMap<string, string>,
  options: ExpandOptions = {},
): Expanded {
  const lexer = new Lexer(word, env, options);
  try {
    const { text, words } = lexer.until(null, options.rawEscapes ?? false);
    return { text, words, matched: lexer.matched, unmatched: lexer.unmatched };
  } catch (cause) {
    if (!(cause instanceof Problem) || cause.at !== null) throw cause;
    throw new Problem(`cannot expand ${quote(word)}: ${cause.message}`, { ...cause.options, at: word });
  }
}

class Lexer {
  readonly matched = new Set<string>();
  readonly unmatched = new Set<string>();
  private readonly characters: string[];
  private readonly env: ReadonlyMap<string, string>;
  private readonly options: ExpandOptions;
  private readonly escape: string;
  private position = 0;
  private depth = 0;
  private size = 0;

  constructor(word: string, env: ReadonlyMap<string, string>, options: ExpandOptions) {
    this.characters = [...word];
    this.env = env;
    this.options = options;
    this.escape = options.escape ?? '\\';
  }

  /** Up to `stop`, which is eaten; null: to the end. */
  until(stop: string | null, rawEscapes: boolean): { text: string; words: string[] } {
    if (++this.depth > dockerfileLimits.nesting) throw new Problem('it is nested too deeply');
    const collector = new WordCollector();
    for (;;) {
      const character = this.peek();
      if (character === undefined) break;
      if (character === stop) {
        this.position++;
        this.depth--;
        return collector.result();
      }
      if (character === '$') collector.addExpanded(this.count(this.dollar()));
      else if (character === '<') collector.addRaw(this.possibleHeredoc());
      else if (character === "'" && !this.options.ignoreQuotes) collector.addRaw(this.singleQuoted());
      else if (character === '"' && !this.options.ignoreQuotes)
        collector.addRaw(this.doubleQuoted(rawEscapes));
      else {
        this.position++;
        if (character !== this.escape) {
          collector.addCharacter(character);
          continue;
        }
        if (rawEscapes) collector.addRaw(character);
        const escaped = this.next();
        // An escape at the end is nothing.
        if (escaped === undefined) break;
        collector.addRaw(escaped);
      }
    }
    this.depth--;
    if (stop !== null) throw new Problem(`it ends where ${quote(stop)} was expected`);
    return collector.result();
  }

  private singleQuoted(): string {
    const end = this.characters.indexOf("'", this.position + 1);
    if (end < 0) throw new Problem("it ends inside single quotes: ' was expected");
    const inside = this.characters.slice(this.position + 1, end).join('');
    this.position = end + 1;
    return this.options.rawQuotes ? `'${inside}'` : inside;
  }

  private doubleQuoted(rawEscapes: boolean): string {
    this.position++;
    const quoteKept = this.options.rawQuotes ? '"' : '';
    const out = [quoteKept];
    for (;;) {
      const character = this.peek();
      if (character === undefined) throw new Problem('it ends inside double quotes: " was expected');
      if (character === '$') {
        out.push(this.count(this.dollar()));
        continue;
      }
      this.position++;
      if (character === '"') return out.join('') + quoteKept;
      if (character !== this.escape) {
        out.push(character);
        continue;
      }
      if (rawEscapes) out.push(character);
      const next = this.peek();
      if (next === undefined) continue;
      // All others keep their escape.
      const isEscaped = next === '"' || next === '$' || next === this.escape;
      if (isEscaped) this.position++;
      out.push(isEscaped ? next : character);
    }
  }

  private dollar(): string {
    this.position++;
    if (this.peek() !== '{') {
      const name = this.name();
      if (name === '') return '$';
      return this.get(name) ?? (this.options.keepUnset ? `$${name}` : '');
    }
    this.position++;
    const first = this.peek();
    if (first === undefined) throw missingBrace();
    if (first === '{' || first === '}' || first === ':')
      throw new Problem(`${quote(`\${${first}`)} is not a substitution: a name was expected`);
    const name = this.name();
    const modifier = this.next();
    if (modifier === undefined) throw missingBrace();
    if (modifier === '}') return this.get(name) ?? (this.options.keepUnset ? `\${${name}}` : '');
    if (modifier === '/') return this.replacement(name);
    if (!':+-?#%'.includes(modifier)) throw unsupported(modifier);
    const operator = modifier === ':' ? this.next() : modifier;
    if (operator === undefined) throw missingBrace();
    return this.modified(name, modifier === ':', operator);
  }

  /** ${x:-y} and its kin; `emptyCounts`: a value that is empty is like none. */
  private modified(name: string, emptyCounts: boolean, operator: string): string {
    const isPattern = operator === '#' || operator === '%';
    const written = emptyCounts ? `:${operator}` : operator;
    if (emptyCounts && isPattern) throw unsupported(written);
    const word = this.inBraces('}', isPattern);
    const value = this.get(name);
    if (value === undefined && this.options.keepUnset) return `\${${name}${written}${word}}`;
    const isMissing = value === undefined || (emptyCounts && value === '');
    if (operator === '-') return isMissing ? word : value;
    if (operator === '+') return isMissing ? '' : word;
    if (operator === '?') {
      if (!isMissing) return value;
      const why = value === undefined ? 'is not allowed to be unset' : 'is not allowed to be empty';
      throw new Problem(`${name}: ${word === '' ? why : word}`, {
        remedy: `give ${name} a value: --build-arg ${name}=…`,
      });
    }
    if (!isPattern) throw unsupported(written);
    const longest = word.startsWith(operator);
    const pattern = longest ? word.slice(1) : word;
    return (operator === '#' ? removePrefix : removeSuffix)(pattern, value ?? '', longest);
  }

  private replacement(name: string): string {
    const all = this.peek() === '/';
    if (all) this.position++;
    const pattern = this.inBraces('/', true);
    const replacement = this.inBraces('}', true);
    const value = this.get(name);
    // With one slash even where there were two: so BuildKit prints it.
    if (value === undefined && this.options.keepUnset) return `\${${name}/${pattern}/${replacement}}`;
    return replaceIn(value ?? '', pattern, replacement, all);
  }

  private inBraces(stop: string, rawEscapes: boolean): string {
    const { text } = this.until(stop, rawEscapes);
    return this.count(text);
  }

  private name(): string {
    const first = this.peek();
    if (first === undefined) return '';
    if (isDigit(first)) return this.takeWhile(isDigit);
    if (isSpecialName(first)) {
      this.position++;
      return first;
    }
    return this.takeWhile(isNameCharacter);
  }

  /** Between `<<` and a here-document's name there may be space, which does not end the word. */
  private possibleHeredoc(): string {
    this.position++;
    if (this.peek() !== '<') return '<';
    this.position++;
    return `<<${this.takeWhile((character) => ' \t\r'.includes(character))}`;
  }

  private get(name: string): string | undefined {
    const value = this.env.get(name);
    (value === undefined ? this.unmatched : this.matched).add(name);
    return value;
  }

  private count(text: string): string {
    this.size += text.length;
    if (this.size > dockerfileLimits.wordChars)
      throw new Problem(`it grows beyond ${dockerfileLimits.wordChars} characters`);
    return text;
  }

  private takeWhile(accepts: (character: string) => boolean): string {
    const start = this.position;
    while (this.position < this.characters.length && accepts(this.characters[this.position]!))
      this.position++;
    return this.characters.slice(start, this.position).join('');
  }

  private peek(): string | undefined {
    return this.characters[this.position];
  }

  private next(): string | undefined {
    return this.characters[this.position++];
  }
}
