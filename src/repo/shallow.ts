// The commits where a shallow clone's history was cut. Git keeps more of them than HEAD reaches; the guest
// must only be told of those that it gets.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { git } from './git.ts';
import type { Repository } from './open.ts';

export async function readShallow(repository: Repository): Promise<string[]> {
  const text = await readFile(join(repository.commonDir, 'shallow'), 'utf8').catch(() => '');
  const cuts = new Set(text.split('\n').filter((line) => line !== ''));
  if (cuts.size === 0 || !repository.head) return [];
  const { stdout } = await git(repository.root, ['rev-list', '--max-parents=0', repository.head]);
  return stdout
    .toString()
    .split('\n')
    .filter((id) => cuts.has(id));
}
