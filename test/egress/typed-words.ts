// The words that a denial proposes to paste, and what the command line makes of them.

import { entryWords } from '../../src/egress/policy/find-rules.ts';
import type { Entry } from '../../src/egress/policy/rule.ts';
import { entryOf } from '../../src/egress/policy/write-entry.ts';

/** What is proposed, as words. */
export function proposed({ allowWith }: { allowWith: Entry | null }): string | null {
  return allowWith && entryWords(allowWith);
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
