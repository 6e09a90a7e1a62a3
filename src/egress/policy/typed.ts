// A rule as it is typed behind `warren policy allow NAME`: to words that can be pasted into a shell, and back. Pure.

import type { RulesRequest } from '../../protocol/policy.ts';
import type { Entry } from './rule.ts';
import { entryOf } from './write-entry.ts';

export type Typed = Pick<RulesRequest, 'protocol' | 'methods' | 'paths' | 'git' | 'allowPrivate'>;

export const PLAIN: Typed = { protocol: null, methods: [], paths: [], git: null, allowPrivate: false };

/** `host`: with its port. */
export function typedText(host: string, { protocol, methods, paths, git, allowPrivate }: Typed): string {
  return [
    quoted(host),
    ...(protocol === null ? [] : [`--${protocol}`]),
    ...methods.map((method) => `--method ${method}`),
    ...paths.map((path) => `--path ${quoted(path)}`),
    ...(git?.fetch ? ['--git-fetch'] : []),
    ...(git?.push ? [`--git-push ${quoted(git.push)}`] : []),
    ...(allowPrivate ? ['--private'] : []),
  ].join(' ');
}

/** Of such words, or of `--host-service PORT`. */
export function entryFrom(text: string): Entry {
  const [host = '', ...words] = [...text.matchAll(/'([^']*)'|(\S+)/g)].map(([, a, b]) => a ?? b ?? '');
  if (host === '--host-service') return { hostService: Number(words[0]) };
  const after = (flag: string) => words.filter((_, at) => words[at - 1] === flag);
  const [push = null] = after('--git-push');
  const protocol = (['http', 'tcp', 'tls-passthrough'] as const).find((each) => words.includes(`--${each}`));
  return entryOf(host, {
    protocol: protocol ?? null,
    methods: after('--method'),
    paths: after('--path'),
    git: words.some((word) => word.startsWith('--git-'))
      ? { fetch: words.includes('--git-fetch'), push }
      : null,
    allowPrivate: words.includes('--private'),
  });
}

/** Without a quote in it. */
export function quoted(word: string): string {
  return /^[A-Za-z0-9._:/@%+,=-]+$/.test(word) ? word : `'${word}'`;
}
