// What `secret ls` shows: a row for each, and what to do about those whose value the daemon does not have. Pure.

import { sanitizeLine } from '../protocol/sanitize.ts';
import type { SecretView } from '../protocol/secret.ts';

export const SECRET_HEAD = ['NAME', 'FOR', 'HOSTS', 'FROM', 'VARIABLE', 'ALSO IN', 'VALUE'];

export function secretRow({ name, root, hosts, from, variable, query, body, known }: SecretView): string[] {
  return [
    name,
    root === null ? 'all sandboxes' : sanitizeLine(root, 300),
    hosts.join(' '),
    sanitizeLine(from ?? 'asked', 300),
    variable,
    [query && 'query', body && 'body'].filter(Boolean).join(' ') || '-',
    known === null ? 'read when needed' : known ? 'ok' : 'not known',
  ];
}

/** Null when there is nothing to do. */
export function secretRemedy(view: SecretView): string | null {
  const { name, root, from, known } = view;
  if (known !== false) return null;
  if (from !== null) {
    const variable = from.replace(/^env:/, '');
    return `the value of ${name} is not known; try: export ${variable}=…, then warren start NAME`;
  }
  const where = root === null ? '' : ` in ${sanitizeLine(root, 300)}`;
  return `the value of ${name} is not known; try${where}: ${addAgain(view)}`;
}

function addAgain({ name, root, hosts, variable, like, query, body }: SecretView): string {
  return [
    `warren secret add ${name}`,
    ...hosts.map((host) => `--host '${host}'`),
    `--like ${like}`,
    variable !== name && `--env-name ${variable}`,
    query && '--query',
    body && '--body',
    root === null && '--global',
  ]
    .filter(Boolean)
    .join(' ');
}
