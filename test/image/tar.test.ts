// Every oddity of tars: what is read right, and what is refused.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseExtended } from '../../src/image/tar-extended.ts';
import { type TarEntry, TarIndexer } from '../../src/image/tar-index.ts';
import { makeTar } from './make-image.ts';

function index(tar: Buffer, chunkBytes = tar.length): TarEntry[] {
  const indexer = new TarIndexer();
  for (let at = 0; at < tar.length; at += chunkBytes) indexer.push(tar.subarray(at, at + chunkBytes));
  return indexer.finish();
}

/** A header by hand, its checksum right. */
function header(
  name: string,
  fields: Partial<Record<'size' | 'uid' | 'mode', string>> & {
    kind?: string;
    link?: string;
    magic?: string;
  } = {},
): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0, 100, 'latin1');
  block.write(fields.mode ?? '0000644\0', 100, 'latin1');
  block.write(fields.uid ?? '0000000\0', 108, 'latin1');
  block.write('0000000\0', 116, 'latin1');
  block.write(fields.size ?? '00000000000\0', 124, 'latin1');
  block.write('00000000000\0', 136, 'latin1');
  block.write(fields.kind ?? '0', 156, 'latin1');
  block.write(fields.link ?? '', 157, 'latin1');
  block.write(fields.magic ?? 'ustar\0' + '00', 257, 'latin1');
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function data(text: string | Buffer): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

const octal = (size: number) => `${size.toString(8).padStart(11, '0')}\0`;

describe('the index of a tar', () => {
  it('tells kinds, owners and where the data is, however the bytes come', async () => {
    const tar = await makeTar([
      { name: 'd/', mode: 0o1777 },
      { name: 'd/f', content: 'hello', uid: 1234, gid: 5678, mode: 0o4755 },
      { name: 'd/l', type: 'symlink', linkname: '../x' },
      { name: 'd/h', type: 'link', linkname: 'd/f' },
      { name: 'd/c', type: 'character-device' },
      { name: 'd/p', type: 'fifo' },
    ]);
    for (const chunkBytes of [tar.length, 7, 513]) {
      const entries = index(tar, chunkBytes);
      assert.deepEqual(
        entries.map(({ kind }) => kind),
        ['folder', 'file', 'symlink', 'link', 'character', 'fifo'],
      );
      const file = entries[1]!;
      assert.deepEqual([file.uid, file.gid, file.mode, file.size], [1234, 5678, 0o4755, 5]);
      assert.equal(tar.toString('latin1', file.offset, file.offset + 5), 'hello');
      assert.equal(file.offset % 512, 0);
    }
  });

  it('reads long names of PAX and GNU, and the numbers of both', async () => {
    const long = `${'deep/'.repeat(60)}name`;
    const [pax] = index(
      await makeTar([
        { name: long, pax: { 'SCHILY.xattr.user.a': 'b=c\nd', uid: '3000000', mtime: '1700000000.25' } },
      ]),
    );
    assert.equal(pax!.path, long);
    assert.equal(pax!.uid, 3_000_000);
    assert.deepEqual([pax!.mtime, pax!.mtimeNs], [1_700_000_000, 250_000_000]);
    assert.equal(pax!.xattrs.get('user.a')!.toString(), 'b=c\nd');
    const base256 = Buffer.alloc(8);
    base256[0] = 0x80;
    base256.writeUInt32BE(3_000_000, 4);
    const gnu = Buffer.concat([
      header('././@LongLink', { kind: 'L', size: octal(long.length + 1), magic: 'ustar  \0' }),
      data(`${long}\0`),
      header('././@LongLink', { kind: 'K', size: octal(4) }),
      data('far\0'),
      header('short', { kind: '2', link: 'near', uid: base256.toString('latin1') }),
    ]);
    const [entry] = index(gnu);
    assert.deepEqual([entry!.path, entry!.to, entry!.uid], [long, 'far', 3_000_000]);
  });

  it('takes v7 headers, folders by their slash, and links that claim a size', () => {
    const entries = index(
      Buffer.concat([
        header('d/', { kind: '\0', magic: '' }),
        header('d/f', { kind: '\0', magic: '', size: octal(3) }),
        data('abc'),
        header('h', { kind: '1', link: 'd/f', size: octal(3) }),
        header('g', { size: octal(1) }),
        data('x'),
      ]),
    );
    assert.deepEqual(
      entries.map(({ kind, size }) => `${kind} ${size}`),
      ['folder 0', 'file 3', 'link 0', 'file 1'],
    );
  });

  it('ends at a block of zeros, and looks at nothing behind it', () => {
    const entries = index(Buffer.concat([header('a'), Buffer.alloc(1024), Buffer.alloc(512, 'junk')]));
    assert.equal(entries.length, 1);
  });

  it('is whole without a block of zeros, and may be nothing', () => {
    assert.equal(index(header('a')).length, 1);
    assert.equal(index(Buffer.alloc(0), 1).length, 0);
    assert.equal(index(Buffer.alloc(1024)).length, 0);
  });

  it('passes over headers for the whole archive, as git writes them', () => {
    const comment = '52 comment=0123456789012345678901234567890123456789\n';
    const [entry, ...more] = index(
      Buffer.concat([
        header('pax_global_header', { kind: 'g', size: octal(52) }),
        data(comment),
        header('a'),
      ]),
    );
    assert.deepEqual([entry!.path, more.length], ['a', 0]);
  });

  it('believes a PAX header more than the one behind it, and the last of two', () => {
    const x = (text: string) => [header('x', { kind: 'x', size: octal(text.length) }), data(text)];
    const entries = index(
      Buffer.concat([
        ...x('9 size=3\n13 path=long\n17 mtime=-1.2500\n'),
        header('short', { size: octal(0) }),
        data('abc'),
        ...x('10 path=b\n'),
        ...x('10 path=c\n'),
        header('d'),
        header('e'),
      ]),
    );
    assert.deepEqual(
      entries.map(({ path, size }) => `${path} ${size}`),
      ['long 3', 'c 0', 'e 0'],
    );
    assert.deepEqual([entries[0]!.mtime, entries[0]!.mtimeNs], [-2, 750_000_000]);
  });

  it('joins the two halves of a ustar name, and of GNU’s own format it takes one', () => {
    const long = header('name');
    const withPrefix = (block: Buffer): Buffer => {
      block.write('folder', 345, 'latin1');
      block.fill(0x20, 148, 156);
      const sum = block.reduce((total, byte) => total + byte, 0);
      block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
      return block;
    };
    assert.equal(index(withPrefix(long))[0]!.path, 'folder/name');
    assert.equal(index(withPrefix(header('name', { magic: 'ustar  \0' })))[0]!.path, 'name');
  });

  it('takes contiguous files for files, numbers with spaces, and names that fill their field', () => {
    const name = 'n'.repeat(100);
    const entries = index(
      Buffer.concat([
        header(name, { kind: '7', size: octal(1), mode: '   644 \0' }),
        data('x'),
        header('b', { uid: '\0\0\0\0\0\0\0\0' }),
      ]),
    );
    assert.deepEqual(
      entries.map(({ kind, path, mode, uid }) => [kind, path, mode, uid]),
      [
        ['file', name, 0o644, 0],
        ['file', 'b', 0o644, 0],
      ],
    );
  });

  it('passes over the attributes of overlay file systems', async () => {
    const [entry] = index(
      await makeTar([
        {
          name: 'a',
          pax: { 'SCHILY.xattr.trusted.overlay.opaque': 'y', 'SCHILY.xattr.user.overlay.x': 'y' },
        },
      ]),
    );
    assert.equal(entry!.xattrs.size, 0);
  });

  for (const [what, tar] of [
    ['a wrong checksum', Buffer.concat([Buffer.from(header('a').fill('b', 0, 1))])],
    ['what is no tar', Buffer.from('not a tar, just words'.repeat(50))],
    ['a cut header', header('a').subarray(0, 300)],
    ['cut data', Buffer.concat([header('a', { size: octal(600) }), Buffer.alloc(512, 1)])],
    ['a negative size', header('a', { size: `\xff${'\xff'.repeat(11)}` })],
    ['a size beyond reason', header('a', { size: `\x80\x00\x00\x00\x7f${'\xff'.repeat(7)}` })],
    ['letters for a number', header('a', { size: '0000000000x\0' })],
    ['a sparse file of GNU', header('a', { kind: 'S' })],
    ['an unknown type', header('a', { kind: 'Z' })],
    ['a PAX header of 1 GiB', header('a', { kind: 'x', size: octal(1024 ** 3) })],
    [
      'a PAX record that lies of its length',
      Buffer.concat([header('a', { kind: 'x', size: octal(12) }), data('99 path=abc\n'), header('b')]),
    ],
    [
      'a PAX header for nothing',
      Buffer.concat([header('a', { kind: 'x', size: octal(600) }), data('12 path=abc\n')]),
    ],
  ] as const) {
    it(`refuses ${what}`, () => assert.throws(() => index(Buffer.from(tar)), { code: 'image.bad-layer' }));
  }

  it('refuses a sparse file of PAX', async () => {
    const tar = await makeTar([{ name: 'a', pax: { 'GNU.sparse.major': '1' } }]);
    assert.throws(() => index(tar), /sparse/);
  });

  it('does not read 64 KiB of attributes into memory for each file', async () => {
    const pax = Object.fromEntries(
      Array.from({ length: 30 }, (_, n) => [`SCHILY.xattr.user.${n}`, 'v'.repeat(4000)]),
    );
    const tar = await makeTar([{ name: 'a', pax }]);
    assert.throws(() => index(tar), /extended attributes/);
  });
});

describe('PAX records', () => {
  it('may hold any bytes, newlines too', () => {
    const records = parseExtended(Buffer.from('10 a=b\nc=\n8 dd=\xffx\n', 'latin1'));
    assert.deepEqual(
      [...records],
      [
        ['a', 'b\nc='],
        ['dd', '\xffx'],
      ],
    );
  });
  for (const text of [
    '',
    ' ',
    '5',
    '5 a=',
    '3 =\n',
    '0 a=b\n',
    '6 ab\n\n',
    '-1 a=b\n',
    '1e1 a=bcd\n',
    '6 a=b',
  ])
    it(`${JSON.stringify(text)} is ${text === '' ? 'none' : 'refused'}`, () => {
      if (text === '') assert.equal(parseExtended(Buffer.from(text)).size, 0);
      else assert.throws(() => parseExtended(Buffer.from(text)), { code: 'image.bad-layer' });
    });
});
