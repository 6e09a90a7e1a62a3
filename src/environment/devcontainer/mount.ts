// Mounts of devcontainer.json, in both of their forms.

import { normalize } from 'node:path/posix';
import { WarrenError } from '../../protocol/error.ts';
import type { MountWish } from './schema.ts';

export interface Mount {
  type: 'volume' | 'tmpfs' | 'bind';
  /** Of a volume its name, of a bind a path of the host; "" where there is none. */
  source: string;
  /** Absolute in the guest, without `..` or a slash at its end. */
  target: string;
}

/** Throws `environment.devcontainer`. */
export function readMount(wish: MountWish): Mount {
  const said = typeof wish === 'string' ? wordsOf(wish) : wish;
  const { type = 'volume', source = '', target } = said;
  const shown = JSON.stringify(wish).slice(0, 300);
  if (type !== 'volume' && type !== 'tmpfs' && type !== 'bind')
    throw refused(shown, `its type is none of volume, tmpfs and bind`);
  if (typeof target !== 'string' || !target.startsWith('/') || target.split('/').includes('..'))
    throw refused(shown, 'its target is no absolute path');
  return { type, source, target: normalize(target).replace(/(.)\/$/, '$1') };
}

/** `type=volume,source=x,target=/y`, also with `src`, `dst` and `destination`. */
function wordsOf(text: string): { type?: string; source?: string; target?: string } {
  const rows = text.split(',').map((row) => {
    const equals = row.indexOf('=');
    return equals < 0 ? [row, ''] : [row.slice(0, equals), row.slice(equals + 1)];
  });
  const of = (...names: string[]) => rows.findLast(([name]) => names.includes(name!.trim()))?.[1]?.trim();
  const [type, source, target] = [of('type'), of('source', 'src'), of('target', 'dst', 'destination')];
  return {
    ...(type !== undefined && { type }),
    ...(source !== undefined && { source }),
    ...(target !== undefined && { target }),
  };
}

function refused(shown: string, why: string): WarrenError {
  return new WarrenError({
    code: 'environment.devcontainer',
    message: `cannot use the mount ${shown}: ${why}`,
    remedy: 'write it as "type=volume,source=NAME,target=/PATH"',
  });
}
