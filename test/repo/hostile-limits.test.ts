// A guest that sends too much, lies about how much it is, or never ends: refused, and nothing is left behind.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { commitAll, fingerprint, sh, temporaryFolder, worktree, write } from './fixture.ts';
import { blob, commitTree, handBack, makePair, packOf, rawPack, tree } from './hostile.ts';

/** A delta against a base of `from` bytes that says it makes `to` bytes, by copying the base's start over and over. */
function deltaBomb(from: number, to: number): Buffer {
  const varint = (n: number) => {
    const bytes = [];
    for (; n >= 128; n = Math.floor(n / 128)) bytes.push((n % 128) | 128);
    return [...bytes, n];
  };
  return Buffer.from([...varint(from), ...varint(to), 0x90 | 0x20, from & 255, (from >> 8) & 255]);
}

describe('hand-back beyond the limits', () => {
  const pairWith = (files: Record<string, Buffer | string>) => {
    const pair = makePair();
    write(pair.guest, files);
    const tip = commitAll(pair.guest, 'large');
    return { ...pair, tip, pack: packOf(pair.guest, tip, [pair.base]) };
  };
  const refused = async (
    what: { root: string; tip: string; base: string; pack: Buffer },
    limits: object,
    message: RegExp,
  ) => {
    const before = fingerprint(what.root);
    await assert.rejects(handBack(what.root, { ...what, limits }), {
      code: 'repo.handback-too-large',
      message,
    });
    assert.deepEqual(fingerprint(what.root), before);
  };

  test('zeros: small as a pack, large once unpacked', async () => {
    const what = pairWith({ one: Buffer.alloc(20 << 20), two: Buffer.alloc((20 << 20) + 1) });
    assert.ok(what.pack.length < 100_000);
    await refused(what, { inflatedBytes: 30 << 20 }, /unpacked bytes/);
    await refused(what, { blobBytes: 10 << 20 }, /a blob has 20971520 bytes/);
    assert.equal((await handBack(what.root, what)).files, 2);
  });

  test('one blob a thousand times: small as objects, large once checked out', async () => {
    const { root, guest, base } = makePair();
    const id = blob(guest, Buffer.alloc(1 << 20));
    const rows = Array.from({ length: 10 }, (_, n) => String(n));
    let at = tree(
      guest,
      rows.map((name) => ({ mode: '100644', name, id })),
    );
    for (let depth = 0; depth < 2; depth++)
      at = tree(
        guest,
        rows.map((name) => ({ mode: '40000', name, id: at })),
      );
    const tip = commitTree(guest, at, [base]);
    const what = { root, tip, base, pack: packOf(guest, tip, [base]) };
    assert.ok(what.pack.length < 10_000);
    await refused(what, { inflatedBytes: 100 << 20 }, /a checkout of it/);
    await refused(what, { objects: 500 }, /files/);
    const deep = Array.from({ length: 12 }).reduce<string>(
      (inner) =>
        tree(
          guest,
          rows.map((name) => ({ mode: '40000', name, id: inner })),
        ),
      at,
    );
    const bomb = commitTree(guest, deep, [base]);
    await refused(
      { root, tip: bomb, base, pack: packOf(guest, bomb, [base]) },
      { objects: 100_000 },
      /files/,
    );
  });

  test('bytes of the pack, objects, commits, path length', async () => {
    const what = pairWith(
      Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`f${n}`, String(Math.random())])),
    );
    await refused(what, { packBytes: 1000 }, /the pack has/);
    await refused(what, { objects: 20 }, /objects or more/);
    for (let n = 0; n < 5; n++) commitAll(what.guest, `c${n}`);
    const tip = sh(what.guest, ['rev-parse', 'HEAD']);
    const more = { ...what, tip, pack: packOf(what.guest, tip, [what.base]) };
    await refused(more, { commits: 3 }, /commits or more/);
    const passing = pairWith({ [`${'d'.repeat(100)}/${'e'.repeat(100)}/f`]: 'x' });
    sh(passing.guest, ['rm', '-rq', 'd'.repeat(100)]);
    const gone = commitAll(passing.guest, 'the long path is only in the history');
    await refused(
      { ...passing, tip: gone, pack: packOf(passing.guest, gone, [passing.base]) },
      { pathBytes: 150 },
      /a path has/,
    );
    const long = pairWith({ [`${'d'.repeat(100)}/${'e'.repeat(100)}/f`]: 'x' });
    await refused(long, { pathBytes: 150 }, /a path has/);
  });

  test('a delta that says it makes gigabytes does not get the memory for them', async () => {
    const { root, guest, base } = makePair({ seed: 'x'.repeat(60_000) });
    const seed = sh(root, ['rev-parse', 'HEAD:seed']);
    const pack = rawPack([{ type: 7, base: seed, content: deltaBomb(60_000, 3 * 2 ** 30) }]);
    const before = fingerprint(root);
    await assert.rejects(handBack(root, { tip: sh(guest, ['rev-parse', 'HEAD']), base, pack }), {
      code: 'repo.handback-rejected',
      message: /too large to unpack/,
    });
    assert.deepEqual(fingerprint(root), before);
  });

  test('no pack is too strange: garbage, truncation, lies about sizes and counts', async () => {
    const { root, guest, base, tip, pack } = pairWith({ f: 'some content' });
    const lies = Buffer.from(pack);
    lies.writeUInt32BE(1_000_000, 8);
    const cases: [Buffer, string][] = [
      [Buffer.from('hello'), 'interrupted|rejected'],
      [Buffer.alloc(0), 'interrupted'],
      [pack.subarray(0, pack.length - 30), 'interrupted|rejected'],
      [lies, 'interrupted|rejected'],
      [rawPack([{ type: 3, content: Buffer.from('abc'), size: 2 ** 40 }]), 'rejected'],
      [rawPack([{ type: 1, content: Buffer.from('not a commit') }]), 'rejected'],
      [rawPack([{ type: 5, content: Buffer.from('x') }]), 'rejected'],
    ];
    const before = fingerprint(root);
    for (const [bytes, code] of cases) {
      await assert.rejects(handBack(root, { tip, base, pack: bytes }), (error: { code: string }) => {
        assert.match(error.code, new RegExp(`^repo\\.handback-(${code})$`));
        return true;
      });
    }
    assert.deepEqual(fingerprint(root), before);
    assert.ok(guest);
  });

  test('a stream that breaks, stalls or is cancelled leaves nothing behind', async () => {
    const { root, base, tip, pack } = pairWith({
      f: Buffer.from(Array.from({ length: 300_000 }, () => Math.random() * 256)),
    });
    const quarantineFolder = join(temporaryFolder(), 'q');
    const before = fingerprint(root);
    const half = pack.subarray(0, pack.length >> 1);
    const breaking = Readable.from(
      (async function* () {
        yield half;
        throw new Error('channel lost');
      })(),
    );
    await assert.rejects(handBack(root, { tip, base, pack: breaking, quarantineFolder }), {
      code: 'repo.handback-interrupted',
    });
    const stalling = () => {
      const stream = new PassThrough();
      stream.write(half);
      return stream;
    };
    const stopped = AbortSignal.timeout(200);
    await assert.rejects(handBack(root, { tip, base, pack: stalling(), quarantineFolder, signal: stopped }), {
      code: 'usage.cancelled',
    });
    const late = handBack(root, {
      tip,
      base,
      pack: stalling(),
      quarantineFolder,
      limits: { timeoutMs: 200 },
    });
    await assert.rejects(late, { code: 'repo.handback-interrupted', message: /it took longer than 200 ms/ });
    const closing = stalling();
    setTimeout(() => closing.destroy(), 100);
    await assert.rejects(handBack(root, { tip, base, pack: closing, quarantineFolder }), {
      code: 'repo.handback-interrupted',
    });
    assert.deepEqual(readdirSync(quarantineFolder), []);
    assert.deepEqual(fingerprint(root), before);
    assert.equal((await handBack(root, { tip, base, pack, quarantineFolder })).commits, 1);
    assert.deepEqual(worktree(root), worktree(root));
  });
});
