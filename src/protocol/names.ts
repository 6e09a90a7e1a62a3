// The name of a sandbox: part of a branch name, a hostname and a shell word, so the strictest of them rules.

import { WarrenError } from './error.ts';
import { limits } from './limits.ts';

const NAME = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

export function parseName(name: string): string {
  const why =
    name.length === 0
      ? 'it is empty'
      : name.length > limits.nameMaxChars
        ? `it has ${name.length} characters, and ${limits.nameMaxChars} are the most`
        : !NAME.test(name)
          ? 'only lower-case letters, digits and inner hyphens may be in it'
          : undefined;
  if (why === undefined) return name;
  throw new WarrenError({
    code: 'usage.name',
    message: `cannot use the name ${JSON.stringify(name.slice(0, 80))}: ${why}`,
    remedy: `choose another, such as --name ${suggestName(name)}`,
  });
}

/** The nearest allowed name to any text, never empty. */
export function suggestName(text: string): string {
  const name = text
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, limits.nameMaxChars)
    .replaceAll(/^-+|-+$/g, '');
  return name || 'sandbox';
}
