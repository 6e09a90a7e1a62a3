// Reads small blobs of a hand-back as text. Larger ones, and those beyond the total, are left out: the caller
// takes a missing text for "look at it".

import { gitSealed } from './git.ts';
import { objectSizes } from './object-sizes.ts';

const BLOB_MAX_BYTES = 1024 * 1024;
const TOTAL_MAX_BYTES = 32 * 1024 * 1024;

export async function readBlobs(
  gitDir: string,
  ids: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const real = new Set([...ids].filter((id) => !/^0+$/.test(id)));
  const sizes = await objectSizes(gitDir, real, signal);
  let total = 0;
  const chosen = [...real].filter((id) => {
    const bytes = sizes.get(id) ?? Number.POSITIVE_INFINITY;
    if (bytes > BLOB_MAX_BYTES || total + bytes > TOTAL_MAX_BYTES) return false;
    total += bytes;
    return true;
  });
  const texts = new Map<string, string>();
  if (chosen.length === 0) return texts;
  const args = ['cat-file', '--buffer', '--batch=%(objectname) %(objectsize)'];
  const { stdout } = await gitSealed(gitDir, args, { input: `${chosen.join('\n')}\n`, signal });
  for (let at = 0; at < stdout.length; ) {
    const end = stdout.indexOf(10, at);
    const [id = '', size = ''] = stdout.toString('latin1', at, end).split(' ');
    const from = end + 1;
    texts.set(id, stdout.toString('utf8', from, from + Number(size)));
    at = from + Number(size) + 1;
  }
  return texts;
}
