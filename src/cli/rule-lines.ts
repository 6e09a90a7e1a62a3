// The rules of a sandbox as lines for a person, under where they come from. Pure. Words of rules may come from a
// repository.

import type { PolicyView, RuleView } from '../protocol/policy.ts';
import { sanitizeLine } from '../protocol/sanitize.ts';

const MAX_WORD_CHARS = 200;
/** Of each: what one says at length must not hide another. */
const MAX_PART_CHARS = 120;
const MAX_WHERE_CHARS = 40;
/** Narrower is hardly read. */
const MIN_WHAT_CHARS = 20;

/** `columns`: of the terminal; null where nobody looks. */
export function ruleLines(
  { rules, files }: Pick<PolicyView, 'rules' | 'files'>,
  columns: number | null,
): string[] {
  const wide = Math.min(MAX_WHERE_CHARS, Math.max(0, ...rules.map(({ where }) => where.length)));
  const lines: string[] = [];
  let before = '';
  for (const rule of rules) {
    const source = sourceOf(rule.id);
    if (source !== before) lines.push(heading(source, files));
    before = source;
    const start = `  ${rule.effect.padEnd(5)}  ${sanitizeLine(rule.where, MAX_WORD_CHARS).padEnd(wide)}  `;
    const room = columns === null ? Infinity : Math.max(MIN_WHAT_CHARS, columns - start.length);
    const [first = '', ...more] = wrapped(whatOf(rule), room);
    lines.push((start + first).trimEnd());
    for (const line of more) lines.push(' '.repeat(start.length) + line);
  }
  return lines;
}

/** `profile:npm[0]:registry.npmjs.org` → `profile:npm`; `sandbox:allow[0]:…` → `sandbox`. */
function sourceOf(id: string): string {
  return /^(?:profile:[\w-]+|[\w-]+)/.exec(id)?.[0] ?? '';
}

function heading(source: string, files: PolicyView['files']): string {
  const file = { sandbox: files.sandbox, answer: files.project, project: files.repository, user: files.user }[
    source
  ];
  const name = { sandbox: 'of this sandbox', answer: 'of all sandboxes of this project' }[source];
  if (source.startsWith('profile:')) return `profile ${source.slice('profile:'.length)}`;
  return [name, file].filter(Boolean).join(': ') || source;
}

function whatOf({ speaks, methods, paths, git, allowPrivate, comment, never }: RuleView): string {
  const parts = [
    speaks.join(' '),
    methods?.join(','),
    git?.fetch && 'git fetch',
    git?.push && `git push ${git.push}`,
    allowPrivate && 'private addresses',
    paths?.join(' '),
    comment && `(${comment})`,
    never && `DENIED: ${never}`,
  ];
  const what = parts.flatMap((each) => (each ? [sanitizeLine(each, MAX_PART_CHARS)] : []));
  return what.join('; ') || 'everything';
}

/** At its spaces; a longer word stays whole. */
function wrapped(text: string, room: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= room)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
