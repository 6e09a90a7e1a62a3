// A tree → the metadata of an EROFS file system, whose file data stays in the tars of the layers: the disk is this,
// then each tar as it is, one after the other. Blocks are tar's: 512 bytes, so that each file begins at one.
// Format: fs/erofs/erofs_fs.h of Linux 6.12; only uncompressed "plain" inodes in their long form are written.

import { encodeXattrs } from './erofs-xattr.ts';
import { badLayer } from './layer-error.ts';
import { BLOCK_BYTES } from './tar-header.ts';
import type { Node } from './tree.ts';

const SUPERBLOCK_AT = 1024;
const MAGIC = 0xe0f5e1e2;
/** Where inodes begin: the first page holds the superblock. */
const META_AT = 4096;
const SLOT_BYTES = 32;
const INODE_BYTES = 64;
const DIRENT_BYTES = 12;
const BLOCKS_MAX = 2 ** 32 - 1;
const LAYOUT_PLAIN_LONG = 1;
const TYPES = {
  file: [1, 0o100000],
  folder: [2, 0o040000],
  character: [3, 0o020000],
  block: [4, 0o060000],
  fifo: [5, 0o010000],
  symlink: [7, 0o120000],
} as const;

interface Inode {
  node: Node;
  parent: Inode;
  at: number;
  links: number;
  xattrs: Buffer;
  /** Of folders and symlinks: what is written for them here. */
  content: { at: number; bytes: number };
  /** Of a folder: its names by blocks, with "." and "..". */
  blocks: { name: string; inode: Inode }[][];
}

/** `tarBytes`: the length of each layer's tar, each a multiple of 512. */
export function encodeErofs(root: Node, tarBytes: readonly number[]): Buffer {
  const inodes = collect(root);
  let end = META_AT;
  for (const inode of inodes) {
    inode.at = end;
    end = align(end + INODE_BYTES + inode.xattrs.length, INODE_BYTES);
  }
  for (const inode of inodes) {
    inode.content.at = align(end, BLOCK_BYTES);
    if (inode.content.bytes > 0) end = inode.content.at + inode.content.bytes;
  }
  const total = align(end, META_AT);
  const starts: number[] = [];
  let blocks = total / BLOCK_BYTES;
  for (const bytes of tarBytes) {
    starts.push(blocks);
    blocks += bytes / BLOCK_BYTES;
  }
  if (blocks > BLOCKS_MAX) throw badLayer('all layers together are larger than 2 TiB');
  const out = Buffer.alloc(total);
  writeSuperblock(out, inodes.length, blocks);
  inodes.forEach((inode, index) => {
    writeInode(out, inode, index + 1, starts);
    if (inode.node.kind === 'folder') writeFolder(out, inode);
    else if (inode.node.kind === 'symlink') out.write(inode.node.to, inode.content.at, 'latin1');
  });
  return out;
}

/** Every inode once, the root first: its number must fit into 16 bits. */
function collect(root: Node): Inode[] {
  const known = new Map<Node, Inode>();
  const inodes: Inode[] = [];
  const add = (node: Node, parent: Inode | undefined): Inode => {
    const before = known.get(node);
    if (before) {
      before.links++;
      return before;
    }
    const made: Inode = {
      node,
      parent: parent!,
      at: 0,
      links: 1,
      xattrs: encodeXattrs(node.xattrs),
      content: { at: 0, bytes: node.kind === 'symlink' ? node.to.length : 0 },
      blocks: [],
    };
    if (!parent) made.parent = made;
    known.set(node, made);
    inodes.push(made);
    return made;
  };
  add(root, undefined);
  // The list grows while it is walked.
  for (const inode of inodes) {
    if (inode.node.kind !== 'folder') continue;
    const children = [...inode.node.children].map(([name, node]) => ({ name, inode: add(node, inode) }));
    inode.links = 2 + children.filter((child) => child.inode.node.kind === 'folder').length;
    inode.blocks = packNames([{ name: '.', inode }, { name: '..', inode: inode.parent }, ...children]);
    const last = inode.blocks.at(-1)!;
    inode.content.bytes = (inode.blocks.length - 1) * BLOCK_BYTES + bytesOf(last);
  }
  return inodes;
}

/** Sorted by bytes, as the kernel's binary search wants it; a block holds whole names only. */
function packNames(names: { name: string; inode: Inode }[]): { name: string; inode: Inode }[][] {
  names.sort((a, b) => (a.name < b.name ? -1 : 1));
  const blocks: { name: string; inode: Inode }[][] = [];
  let room = 0;
  for (const each of names) {
    const bytes = DIRENT_BYTES + each.name.length;
    if (bytes > room) {
      blocks.push([]);
      room = BLOCK_BYTES;
    }
    blocks.at(-1)!.push(each);
    room -= bytes;
  }
  return blocks;
}

function bytesOf(block: readonly { name: string }[]): number {
  return block.reduce((sum, { name }) => sum + DIRENT_BYTES + name.length, 0);
}

function writeSuperblock(out: Buffer, inodes: number, blocks: number): void {
  const at = SUPERBLOCK_AT;
  out.writeUInt32LE(MAGIC, at);
  out.writeUInt8(Math.log2(BLOCK_BYTES), at + 12);
  out.writeUInt16LE(0, at + 14); // the root is the first inode
  out.writeBigUInt64LE(BigInt(inodes), at + 16);
  out.writeUInt32LE(blocks, at + 36);
  out.writeUInt32LE(META_AT / BLOCK_BYTES, at + 40);
}

function writeInode(out: Buffer, inode: Inode, number: number, starts: readonly number[]): void {
  const { at, node } = inode;
  out.writeUInt16LE(LAYOUT_PLAIN_LONG, at);
  out.writeUInt16LE(inode.xattrs.length === 0 ? 0 : (inode.xattrs.length - 12) / 4 + 1, at + 2);
  out.writeUInt16LE(TYPES[node.kind][1] | node.mode, at + 4);
  out.writeBigUInt64LE(BigInt(node.kind === 'file' ? node.size : inode.content.bytes), at + 8);
  out.writeUInt32LE(whereabouts(inode, starts), at + 16);
  out.writeUInt32LE(number, at + 20);
  out.writeUInt32LE(node.uid, at + 24);
  out.writeUInt32LE(node.gid, at + 28);
  out.writeBigInt64LE(BigInt(node.mtime), at + 32);
  out.writeUInt32LE(node.mtimeNs, at + 40);
  out.writeUInt32LE(inode.links, at + 44);
  inode.xattrs.copy(out, at + INODE_BYTES);
}

/** The first block of what an inode holds, or the number of a device as the kernel encodes it. */
function whereabouts({ node, content }: Inode, starts: readonly number[]): number {
  if (node.kind === 'file') return node.size === 0 ? 0 : starts[node.layer]! + node.offset / BLOCK_BYTES;
  if (node.kind === 'character' || node.kind === 'block') {
    const { major, minor } = node;
    return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
  }
  return content.bytes === 0 ? 0 : content.at / BLOCK_BYTES;
}

function writeFolder(out: Buffer, { content, blocks }: Inode): void {
  blocks.forEach((names, index) => {
    const start = content.at + index * BLOCK_BYTES;
    let nameAt = names.length * DIRENT_BYTES;
    names.forEach(({ name, inode }, place) => {
      const at = start + place * DIRENT_BYTES;
      out.writeBigUInt64LE(BigInt((inode.at - META_AT) / SLOT_BYTES), at);
      out.writeUInt16LE(nameAt, at + 8);
      out.writeUInt8(TYPES[inode.node.kind][0], at + 10);
      out.write(name, start + nameAt, 'latin1');
      nameAt += name.length;
    });
  });
}

function align(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
