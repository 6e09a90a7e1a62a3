// Which name a request means: that of a sandbox that is there, one that is free, or one made up after the
// repository's folder, with a number when it is taken.

import type { UpRequest } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';
import { parseName, suggestName } from '../protocol/names.ts';
import type { Repository } from '../repo/index.ts';
import type { Conductor } from './conductor.ts';
import type { Sandbox } from './sandboxes.ts';

/** Where repositories lie in guests, each by its folder's name. */
export const GUEST_FOLDER = '/workspaces';

export function chooseName(conductor: Conductor, repository: { name: string } | null): string {
  const base = suggestName(repository?.name ?? 'sandbox')
    .slice(0, limits.nameMaxChars - 5)
    .replace(/-+$/, '');
  for (let nr = 1; ; nr++) {
    const name = nr === 1 ? base : `${base}-${nr}`;
    if (!conductor.find(name)) return name;
  }
}

/** A sandbox that already answers to the request; a taken name that does not fit is an error. */
export function findExisting(
  conductor: Conductor,
  request: UpRequest,
  repository: Repository | null,
): Sandbox | undefined {
  const wanted = request.name === null ? undefined : parseName(request.name);
  const root = repository?.root ?? null;
  if (wanted === undefined) {
    return request.fresh || root === null
      ? undefined
      : conductor.list().find(({ record }) => record.repository?.root === root);
  }
  const taken = conductor.find(wanted);
  if (!taken) return undefined;
  if (!request.fresh && (taken.record.repository?.root ?? null) === root) return taken;
  throw nameTaken(taken);
}

/** Nothing may be waited for between this and the conductor's knowing the new sandbox: the name would be free still. */
export function freeName(conductor: Conductor, request: UpRequest, repository: Repository | null): string {
  if (request.name === null) return chooseName(conductor, repository);
  const name = parseName(request.name);
  const taken = conductor.find(name);
  if (taken) throw nameTaken(taken);
  return name;
}

function nameTaken({ record: { name, repository } }: Sandbox): WarrenError {
  return new WarrenError({
    code: 'sandbox.name-taken',
    message: `cannot make sandbox "${name}": the name is taken${repository ? ` by one of ${repository.root}` : ''}`,
    remedy: `choose another --name, or: warren rm ${name}`,
  });
}
