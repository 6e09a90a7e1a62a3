// Where a flow wants to go, by its `:authority`, which is hostile: an address that stands for a name becomes that
// name, another address stays one, and no name is ever made of an address in any other way.

import { hostText, parseAuthority } from '../names/canonical-host.ts';
import { isSynthetic } from '../names/synthetic.ts';
import type { Target } from '../policy/verdict.ts';
import type { DoorParts } from './parts.ts';

export function targetOf(
  authority: unknown,
  names: Pick<DoorParts['names'], 'nameOf'>,
): Target | { refused: string } {
  if (typeof authority !== 'string') return { refused: 'it names no host' };
  const target = parseAuthority(authority);
  if ('refused' in target) return { refused: `this is no host and port: ${target.refused}` };
  const { host, port } = target;
  if (host.kind === 'name' || !isSynthetic(host.address)) return target;
  const name = names.nameOf(host.address);
  return name === null
    ? { refused: `${hostText(host)} stands for no name (any more): look it up again` }
    : { host: { kind: 'name', name }, port };
}
