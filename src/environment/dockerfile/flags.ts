// The `--flags` of an instruction, against what it may have.

import type { Instruction } from './instruction.ts';
import { OTHER_BUILDER, Problem, quote } from './problem.ts';

type FlagKind = 'text' | 'texts' | 'boolean';

/** Flags that BuildKit knows and the builder does not, by instruction. */
const ELSEWHERE: Record<string, readonly string[]> = { RUN: ['device', 'security'], ADD: ['keep-git-dir'] };

export class Flags {
  private readonly values = new Map<string, string[]>();

  /** Throws a `Problem`. */
  constructor({ keyword, flags }: Instruction, known: Record<string, FlagKind>) {
    const name = keyword.toUpperCase();
    for (const flag of flags) {
      const equals = flag.indexOf('=');
      const written = equals < 0 ? flag : flag.slice(0, equals);
      const value = equals < 0 ? null : flag.slice(equals + 1);
      const key = written.slice(2);
      const kind = Object.hasOwn(known, key) ? known[key]! : null;
      if (kind === null) throw unknown(name, written, Object.keys(known));
      if (this.values.has(key) && kind !== 'texts')
        throw new Problem(`${written} stands here twice: once was expected`, { at: written });
      if (value === null && kind !== 'boolean')
        throw new Problem(`${written} has no value: ${written}=VALUE was expected`, { at: written });
      if (kind === 'boolean' && value !== null && !/^(?:true|false)$/i.test(value))
        throw new Problem(`${written} has ${quote(value)}: true or false was expected`, { at: written });
      this.values.set(key, [...(this.values.get(key) ?? []), value ?? 'true']);
    }
  }

  text(name: string): string {
    return this.values.get(name)?.[0] ?? '';
  }

  texts(name: string): string[] {
    return this.values.get(name) ?? [];
  }

  /** null: it is not there. */
  boolean(name: string): boolean | null {
    const value = this.values.get(name)?.[0];
    return value === undefined ? null : value.toLowerCase() === 'true';
  }
}

function unknown(keyword: string, flag: string, known: string[]): Problem {
  const isElsewhere = ELSEWHERE[keyword]?.includes(flag.slice(2)) ?? false;
  if (isElsewhere)
    return new Problem(`${keyword} ${flag} is not supported`, { at: flag, remedy: OTHER_BUILDER });
  return new Problem(
    known.length === 0 ? `${keyword} has no flag ${flag}: it has none` : `${keyword} has no flag ${flag}`,
    { at: flag, found: flag, expected: known.map((name) => `--${name}`) },
  );
}
