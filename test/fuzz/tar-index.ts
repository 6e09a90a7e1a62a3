// A layer's tar: indexed or refused, and what is indexed applies to a tree or is refused; nothing else.

import { encodeErofs } from '../../src/image/erofs.ts';
import { TarIndexer } from '../../src/image/tar-index.ts';
import { Tree } from '../../src/image/tree.ts';
import { WarrenError } from '../../src/protocol/error.ts';
import { makeTar } from '../image/make-image.ts';
import { kindOfRefusal } from './target.ts';

export const seeds = [
  await makeTar([
    { name: 'd/' },
    { name: 'd/f', content: 'hello' },
    { name: 'd/.wh.x' },
    { name: '.wh..wh..opq' },
  ]),
  await makeTar([
    { name: 'a', content: 'x', mode: 0o4755, pax: { 'SCHILY.xattr.user.a': 'b', mtime: '1.5' } },
    { name: 'b', type: 'link', linkname: 'a' },
    { name: 'l', type: 'symlink', linkname: '../a' },
    { name: 'l/x', content: 'y' },
    { name: 'n'.repeat(200), uid: 3_000_000 },
  ]),
];

export function run(bytes: Buffer): string {
  const repaired = repair(bytes);
  let answer = '';
  for (const chunkBytes of [repaired.length || 1, 37]) {
    try {
      const indexer = new TarIndexer();
      for (let at = 0; at < repaired.length; at += chunkBytes)
        indexer.push(repaired.subarray(at, at + chunkBytes));
      const entries = indexer.finish();
      for (const { offset, size } of entries)
        if (offset % 512 !== 0 || offset + size > repaired.length)
          throw new Error(`data outside of the tar: ${offset} ${size}`);
      const tree = new Tree();
      tree.apply(entries);
      encodeErofs(tree.root, [{ bytes: Math.ceil(repaired.length / 512) * 512, isDevice: true }]);
      answer = [...new Set(entries.map(({ kind, xattrs }) => `${kind}${xattrs.size > 0 ? '+' : ''}`))]
        .sort()
        .join(' ');
    } catch (error) {
      if (!(error instanceof WarrenError)) throw error;
      answer = kindOfRefusal(error);
    }
  }
  return answer;
}

/** Most of what was changed would fail at the checksum: it is made right, for every block that may be a header. */
function repair(bytes: Buffer): Buffer {
  const made = Buffer.from(bytes);
  for (let at = 0; at + 512 <= made.length; at += 512) {
    if (made.toString('latin1', at + 257, at + 262) !== 'ustar') continue;
    made.fill(0x20, at + 148, at + 156);
    const sum = made.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
    made.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
  }
  return made;
}
