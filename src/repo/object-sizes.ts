// Sizes of objects once inflated, as `cat-file --batch-check` prints them, counted against the limits while
// they come. The rows are about a guest's objects, and there may be millions.

import { Writable } from 'node:stream';
import { gitSealed } from './git.ts';
import { rejected, tooLarge } from './handback-error.ts';

export interface SizeLimits {
  inflatedBytes: number;
  blobBytes: number;
  objects: number;
  commits: number;
  pathBytes: number;
}

/** Git keeps a tree or commit whole in memory while it looks at it. */
const TREE_MAX_BYTES = 16 * 1024 * 1024;
const COMMIT_MAX_BYTES = 4 * 1024 * 1024;

/** A sink for rows `type size path`. */
export function sizeSink(bounds: SizeLimits): Writable {
  let objects = 0;
  let commits = 0;
  let bytes = 0;
  return lineSink(bounds.pathBytes + 200, (row) => {
    const [type = '', size = ''] = row.split(' ', 2);
    const pathBytes = row.length - type.length - size.length - 2;
    if (!/^\d+$/.test(size)) throw rejected(`object ${type} is missing`);
    objects++;
    bytes += Number(size);
    if (type === 'commit') commits++;
    const most = { blob: bounds.blobBytes, tree: TREE_MAX_BYTES }[type] ?? COMMIT_MAX_BYTES;
    if (Number(size) > most) throw tooLarge(`a ${type}`, Number(size), most, 'bytes');
    if (pathBytes > bounds.pathBytes) throw tooLarge('a path', pathBytes, bounds.pathBytes, 'bytes');
    if (objects > bounds.objects) throw tooLarge('it', objects, bounds.objects, 'objects or more');
    if (commits > bounds.commits) throw tooLarge('it', commits, bounds.commits, 'commits or more');
    if (bytes > bounds.inflatedBytes)
      throw tooLarge('it', bytes, bounds.inflatedBytes, 'unpacked bytes or more');
  });
}

export async function objectSizes(
  gitDir: string,
  ids: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  if (ids.size === 0) return sizes;
  const sink = lineSink(1000, (row) => {
    const [id = '', size = ''] = row.split(' ');
    if (!/^\d+$/.test(size)) throw rejected(`object ${id} is missing`);
    sizes.set(id, Number(size));
  });
  const args = ['cat-file', '--buffer', '--batch-check=%(objectname) %(objectsize)'];
  await gitSealed(gitDir, args, { input: `${[...ids].join('\n')}\n`, output: sink, signal });
  return sizes;
}

function lineSink(maxChars: number, accept: (row: string) => void): Writable {
  let rest = '';
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      try {
        const rows = (rest + chunk.toString('latin1')).split('\n');
        rest = rows.pop() ?? '';
        for (const row of rows) accept(row);
        if (rest.length > maxChars) throw tooLarge('a path', rest.length, maxChars, 'bytes');
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
}
