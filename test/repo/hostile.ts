// A guest that makes its objects by hand: trees and packs that no git would write. Everything goes through a
// real pack, because that is all that ever reaches the host.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { deflateSync } from 'node:zlib';
import { type Handback, openRepository, type ReceiveOptions, receive } from '../../src/repo/index.ts';
import { makeRepository, sh, temporaryFolder, testHome } from './fixture.ts';

export interface Row {
  mode: string;
  name: string | Buffer;
  id: string;
}

/** The user's repository and a guest's clone of it. */
export function makePair(files?: Record<string, string | Buffer>): {
  root: string;
  guest: string;
  base: string;
} {
  const root = makeRepository(files);
  const guest = join(temporaryFolder(), 'guest');
  sh(root, ['clone', '-q', '--no-hardlinks', root, guest]);
  return { root, guest, base: sh(root, ['rev-parse', 'HEAD']) };
}

export const blob = (guest: string, content: string | Buffer) =>
  sh(guest, ['hash-object', '-w', '--stdin'], { input: content });

/** A tree of exactly these rows, in this order, whatever they are. */
export function tree(guest: string, rows: readonly Row[]): string {
  const bytes = rows.flatMap(({ mode, name, id }) => [
    Buffer.from(`${mode} `),
    Buffer.from(name),
    Buffer.from([0]),
    Buffer.from(id, 'hex'),
  ]);
  return sh(guest, ['hash-object', '-w', '-t', 'tree', '--literally', '--stdin'], {
    input: Buffer.concat(bytes),
  });
}

export function commitTree(guest: string, treeId: string, parents: readonly string[], extra = ''): string {
  const parentRows = parents.map((id) => `parent ${id}\n`).join('');
  const who = 'Eve <eve@example.org> 1700000000 +0000';
  const text = `tree ${treeId}\n${parentRows}author ${who}\ncommitter ${who}\n${extra}\nhostile\n`;
  return sh(guest, ['hash-object', '-w', '-t', 'commit', '--literally', '--stdin'], { input: text });
}

/** What an honest git would send for `tip`. */
export function packOf(
  guest: string,
  tip: string,
  have: readonly string[],
  extraArgs: readonly string[] = [],
): Buffer {
  const input = [tip, ...have.map((id) => `^${id}`)].join('\n');
  return execFileSync(
    'git',
    ['pack-objects', '--revs', '--thin', '--stdout', '-q', '--delta-base-offset', ...extraArgs],
    {
      cwd: guest,
      input: `${input}\n`,
      env: { PATH: process.env.PATH, HOME: testHome },
      maxBuffer: 1 << 30,
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
}

/** A pack of just these objects. */
export function packOfObjects(guest: string, ids: readonly string[]): Buffer {
  return execFileSync('git', ['pack-objects', '--stdout', '-q'], {
    cwd: guest,
    input: `${ids.join('\n')}\n`,
    env: { PATH: process.env.PATH, HOME: testHome },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

export interface RawObject {
  /** 1 commit, 2 tree, 3 blob, 7 delta on `base`. */
  type: number;
  content: Buffer;
  /** Said in the header instead of the content's size. */
  size?: number;
  base?: string;
}

/** A pack written by hand. */
export function rawPack(objects: readonly RawObject[]): Buffer {
  const head = Buffer.alloc(12);
  head.write('PACK');
  head.writeUInt32BE(2, 4);
  head.writeUInt32BE(objects.length, 8);
  const parts = [head];
  for (const { type, content, size = content.length, base } of objects) {
    const bytes = [(type << 4) | (size & 15)];
    for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
      bytes[bytes.length - 1]! |= 0x80;
      bytes.push(rest % 128);
    }
    parts.push(Buffer.from(bytes), ...(base ? [Buffer.from(base, 'hex')] : []), deflateSync(content));
  }
  const body = Buffer.concat(parts);
  return Buffer.concat([body, createHash('sha1').update(body).digest()]);
}

export async function handBack(
  root: string,
  options: Partial<Omit<ReceiveOptions, 'pack'>> & {
    tip: string;
    base: string | null;
    pack: Buffer | Readable | null;
  },
): Promise<Handback> {
  const { pack, ...rest } = options;
  return receive(await openRepository(root), {
    sandbox: 'blue',
    branch: 'warren/blue',
    quarantineFolder: join(temporaryFolder(), 'quarantine'),
    ...rest,
    pack: Buffer.isBuffer(pack) ? Readable.from([pack]) : pack,
  });
}
