// What the CLI prints: results to stdout, everything else to stderr; words of a guest only made visible.

import { isUsageError, WarrenError } from '../protocol/error.ts';
import { sanitize, shownJson } from '../protocol/sanitize.ts';

export function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

export function printJson(value: unknown): void {
  print(shownJson(value, 2));
}

/** A word to the person: never part of the result. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function dim(text: string): string {
  return process.stderr.isTTY && !process.env['NO_COLOR'] ? `\u001b[2m${text}\u001b[22m` : text;
}

/** Prints the one error shape and answers the exit code. Never a stack, unless WARREN_DEBUG is set. */
export function printError(error: unknown): number {
  const { code, message, remedy, log } = WarrenError.from(error, 'cli.internal');
  if (code === 'usage.cancelled') {
    say('cancelled');
    return 130;
  }
  say(`error: ${sanitize(message)}   [${code}]`);
  if (remedy !== undefined) say(`  try: ${sanitize(remedy)}`);
  if (log !== undefined) say(`  log: ${log}`);
  if (process.env['WARREN_DEBUG']) say(String((error as Error).stack));
  return isUsageError(code) ? 2 : 1;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Whether a person can be asked here. */
export function isTerminal(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}
