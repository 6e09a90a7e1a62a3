// How commands are declared: examples first in their help, options that several have, and one way to an exit code.

import { type Command, CommanderError, Help, Option } from 'commander';
import { sizeOf } from './quantity.ts';

export function under(parent: Command, usage: string, says: string, examples: string[]): Command {
  return parent
    .command(usage)
    .summary(says)
    .description(says)
    .addHelpText('before', `Examples:\n${examples.map((example) => `  ${example}`).join('\n')}\n`);
}

/** An option that may be repeated and was not has no default worth a word. */
export function optionDescription(option: Option): string {
  if (!Array.isArray(option.defaultValue)) return new Help().optionDescription(option);
  return option.description;
}

/** Where a person finds how the command that was typed is meant. */
export function helpFor(program: Command, words: readonly string[]): string {
  let command = program;
  const path = [program.name()];
  for (const word of words) {
    const next = command.commands.find((each) => each.name() === word);
    if (!next) break;
    command = next;
    path.push(word);
  }
  return `${path.join(' ')} --help`;
}

export function networkOption(): Option {
  return new Option('--network <mode>', 'what may leave it (default: mediated, by the rules)').choices([
    'none',
    'mediated',
    'open',
  ]);
}

export function countOption(flags: string, says: string): Option {
  return new Option(flags, says).argParser(parseCount);
}

/** A whole number of `unit`s, or a size as docker writes it: `4g`, `4096MiB`. */
export function sizeOption(flags: string, says: string, unit: 'MiB' | 'GiB'): Option {
  const bytes = 1024 ** (unit === 'MiB' ? 2 : 3);
  return new Option(flags, says).argParser((text) => {
    const size = /^\d{1,9}$/.test(text) ? Number(text) : sizeOf(text) / bytes || Number.NaN;
    if (Number.isInteger(size)) return size;
    throw unreadable(`"${text}" is not a whole number of ${unit}, nor a size like 4g`);
  });
}

export function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw unreadable(`"${text}" is not a whole number`);
}

function unreadable(why: string): CommanderError {
  return new CommanderError(2, 'usage.number', `error: cannot read the command: ${why}`);
}

export function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

/** Runs an action to its exit code; every error takes the one shape. */
// biome-ignore lint/suspicious/noExplicitAny: commander hands over what the flags declare
type Handed = any[];
export function action(
  work: (...args: Handed) => Promise<number | undefined | void>,
): (...args: Handed) => Promise<void> {
  return async (...args) => {
    process.exitCode = (await work(...args)) ?? 0;
  };
}
