// A tree → the metadata of an EROFS file system, whose file data stays in the tars of the layers: some tars follow the
// metadata on its disk, each other one is a disk of its own ("device"). Blocks are tar's: 512 bytes, so that each file
// begins at one.
// Format: fs/erofs/erofs_fs.h of Linux 6.12; only uncompressed "plain" inodes in their long form are written.

import { encodeXattrs } from './erofs-xattr.ts';
import { badLayer } from './layer-error.ts';
import { BLOCK_BYTES } from './tar-header.ts';
import type { Node } from './tree.ts';

const SUPERBLOCK_AT = 1024;
const MAGIC = 0xe0f5e1e2;
/** The table of devices, behind the superblock. */
const DEVICES_AT = 2048;
const DEVICE_BYTES = 128;
const DEVICE_TABLE_FEATURE = 8;
const PAGE_BYTES = 4096;
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

/** A layer's tar: its length, a multiple of 512, and whether it is a disk of its own. */
export interface TarPlace {
  bytes: number;
  isDevice: boolean;
}

/** What is not a device must follow the answer on its disk, in order. Devices count from 1, in order. */
export function encodeErofs(root: Node, tars: readonly TarPlace[]): Buffer {
  const inodes = collect(root);
  const devices = tars.filter(({ isDevice }) => isDevice);
  const metaAt = align(DEVICES_AT + devices.length * DEVICE_BYTES, PAGE_BYTES);
  // Programs pass over what has the number 0: the first inode is not there.
  let end = metaAt + INODE_BYTES;
  for (const inode of inodes) {
    inode.at = end;
    end = align(end + INODE_BYTES + inode.xattrs.length, INODE_BYTES);
  }
  for (const inode of inodes) {
    inode.content.at = align(end, BLOCK_BYTES);
    if (inode.content.bytes > 0) end = inode.content.at + inode.content.bytes;
  }
  const total = align(end, PAGE_BYTES);
  const out = Buffer.alloc(total);
  // One space of addresses: the disk itself, then each device.
  const starts: number[] = [];
  let blocks = total / BLOCK_BYTES;
  const place = (wanted: boolean) =>
    tars.forEach(({ bytes, isDevice }, layer) => {
      if (isDevice !== wanted) return;
      starts[layer] = blocks;
      blocks += bytes / BLOCK_BYTES;
    });
  place(false);
  const own = blocks;
  place(true);
  if (blocks > BLOCKS_MAX) throw badLayer('all layers together are larger than 2 TiB');
  writeSuperblock(out, { inodes: inodes.length, blocks: own, metaAt, devices: devices.length });
  let slot = DEVICES_AT;
  tars.forEach(({ bytes, isDevice }, layer) => {
    if (!isDevice) return;
    out.writeUInt32LE(bytes / BLOCK_BYTES, slot + 64);
    out.writeUInt32LE(starts[layer]!, slot + 68);
    slot += DEVICE_BYTES;
  });
  inodes.forEach((inode, index) => {
    writeInode(out, inode, index + 1, starts);
    if (inode.node.kind === 'folder') writeFolder(out, inode, metaAt);
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

function writeSuperblock(
  out: Buffer,
  has: { inodes: number; blocks: number; metaAt: number; devices: number },
): void {
  const at = SUPERBLOCK_AT;
  out.writeUInt32LE(MAGIC, at);
  out.writeUInt8(Math.log2(BLOCK_BYTES), at + 12);
  out.writeUInt16LE(INODE_BYTES / SLOT_BYTES, at + 14); // the root is the first inode
  out.writeBigUInt64LE(BigInt(has.inodes), at + 16);
  out.writeUInt32LE(has.blocks, at + 36);
  out.writeUInt32LE(has.metaAt / BLOCK_BYTES, at + 40);
  if (has.devices === 0) return;
  out.writeUInt32LE(DEVICE_TABLE_FEATURE, at + 80);
  out.writeUInt16LE(has.devices, at + 86);
  out.writeUInt16LE(DEVICES_AT / DEVICE_BYTES, at + 88);
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

function writeFolder(out: Buffer, { content, blocks }: Inode, metaAt: number): void {
  blocks.forEach((names, index) => {
    const start = content.at + index * BLOCK_BYTES;
    let nameAt = names.length * DIRENT_BYTES;
    names.forEach(({ name, inode }, place) => {
      const at = start + place * DIRENT_BYTES;
      out.writeBigUInt64LE(BigInt((inode.at - metaAt) / SLOT_BYTES), at);
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
