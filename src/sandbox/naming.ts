// The name of a sandbox that nobody named: the repository's folder, or `sandbox`, with a number when taken.

import { limits } from '../protocol/limits.ts';
import { suggestName } from '../protocol/names.ts';
import type { Conductor } from './conductor.ts';

export function chooseName(conductor: Conductor, repository: { name: string } | null): string {
  const base = suggestName(repository?.name ?? 'sandbox')
    .slice(0, limits.nameMaxChars - 5)
    .replace(/-+$/, '');
  for (let nr = 1; ; nr++) {
    const name = nr === 1 ? base : `${base}-${nr}`;
    if (!conductor.find(name)) return name;
  }
}
