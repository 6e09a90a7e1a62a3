// A rule as it is typed behind `warren policy allow NAME`, and the words for it, to be pasted into a shell. Pure.

import type { RulesRequest } from '../../protocol/policy.ts';

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

/** Without a quote in it. */
export function quoted(word: string): string {
  return /^[A-Za-z0-9._:/@%+,=-]+$/.test(word) ? word : `'${word}'`;
}
