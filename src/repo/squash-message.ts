// The message of a squash commit: what the user wrote, or the sandbox's name and the subjects of its commits.
// Subjects are a guest's words; they are made printable, because terminals will show them for years.

import { sanitizeLine } from '../protocol/sanitize.ts';
import { git } from './git.ts';
import type { Repository } from './open.ts';

const SUBJECTS = 100;

export async function squashMessage(
  repository: Repository,
  options: { tip: string; sandbox: string; message?: string },
): Promise<string> {
  if (options.message !== undefined && options.message.trim() !== '') return `${options.message.trimEnd()}\n`;
  const range = repository.head ? [`^${repository.head}`] : [];
  const args = [
    'log',
    '--no-show-signature',
    '--no-merges',
    '--format=%s',
    '-z',
    `--max-count=${SUBJECTS + 1}`,
  ];
  const { stdout } = await git(repository.root, [...args, options.tip, ...range, '--']);
  return squashText(options.sandbox, stdout.toString('utf8').split('\0').filter(Boolean));
}

/** `subjects` newest first; beyond 100 they are left out. */
export function squashText(sandbox: string, subjects: readonly string[]): string {
  const rows = subjects.slice(0, SUBJECTS).map((subject) => `- ${sanitizeLine(subject)}`);
  const more = subjects.length > SUBJECTS ? ['- …'] : [];
  const list = [...rows.reverse()];
  return `${[`warren: ${sandbox}`, ...(list.length > 0 ? ['', ...more, ...list] : [])].join('\n')}\n`;
}
