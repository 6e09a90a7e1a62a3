// The layers of an image, applied one over the other as the OCI image specification says: whiteouts, opaque folders,
// hard links, and of two entries with one name the last. No file system is involved, so a name can lead nowhere: the
// tree is only looked up in itself. Hostile input: the paths and links of a tar.

import { limits } from '../protocol/limits.ts';
import { badLayer, quoted } from './layer-error.ts';
import type { TarEntry } from './tar-index.ts';

export interface Node {
  kind: 'file' | 'folder' | 'symlink' | 'character' | 'block' | 'fifo';
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  mtimeNs: number;
  size: number;
  /** Of a file's data: which layer, and where in its tar. */
  layer: number;
  offset: number;
  major: number;
  minor: number;
  xattrs: Map<string, Buffer>;
  /** Of a symlink. */
  to: string;
  /** Of a folder; names byte by byte, as latin1. */
  children: Map<string, Node>;
}

const NAME_MAX_BYTES = 255;
const SYMLINKS_MAX = 40;
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** Of whatever is no folder; nothing is ever put into it. */
const NONE = new Map<string, Node>();

export class Tree {
  readonly root: Node = folder(0);
  #layers = 0;
  #entries = 0;

  /** Whiteouts first: they concern the layers below, never their own. */
  apply(entries: readonly TarEntry[]): void {
    const layer = this.#layers++;
    this.#entries += entries.length;
    if (this.#entries > limits.imageEntries)
      throw badLayer(`the image has more than ${limits.imageEntries} entries`);
    const split = entries.map((entry) => ({ entry, parts: partsOf(entry.path) }));
    const isWhiteout = ({ parts }: { parts: string[] }) => parts.at(-1)?.startsWith(WHITEOUT) === true;
    for (const each of split) if (isWhiteout(each)) this.#whiteOut(each.parts);
    for (const each of split) if (!isWhiteout(each)) this.#add(each.entry, each.parts, layer);
  }

  /** What is at a path, symlinks followed within the tree. */
  find(path: string): Node | undefined {
    const parts = partsOf(path);
    for (let links = 0; links <= SYMLINKS_MAX; links++) {
      const parent = this.#walk(parts.slice(0, -1), false);
      const found = parts.length === 0 ? this.root : parent?.at(-1)?.children.get(parts.at(-1) ?? '');
      if (found?.kind !== 'symlink') return found;
      const next = found.to.startsWith('/') ? found.to : `${parts.slice(0, -1).join('/')}/${found.to}`;
      parts.splice(0, parts.length, ...normalised(next));
    }
    return undefined;
  }

  /** Makes a folder, as a container engine does of an image's working directory. */
  ensureFolder(path: string): void {
    if (this.find(path)?.kind !== 'folder') this.#walk(partsOf(path), true);
  }

  #whiteOut(parts: string[]): void {
    const name = parts.at(-1)!;
    const parent = this.#walk(parts.slice(0, -1), false)?.at(-1);
    if (name === OPAQUE) parent?.children.clear();
    // Other names that start so are aufs's own.
    else if (!name.startsWith(`${WHITEOUT}${WHITEOUT}`)) parent?.children.delete(name.slice(WHITEOUT.length));
  }

  #add(entry: TarEntry, parts: string[], layer: number): void {
    const name = parts.at(-1);
    if (name === undefined) {
      if (entry.kind !== 'folder') throw badLayer(`its root is a ${entry.kind}`);
      Object.assign(this.root, attributesOf(entry));
      return;
    }
    const parent = this.#walk(parts.slice(0, -1), true)!.at(-1)!;
    if (entry.kind === 'link') {
      const target = this.#linked(entry);
      if (parent.children.get(name) !== target) parent.children.set(name, target);
      return;
    }
    const before = parent.children.get(name);
    if (entry.kind === 'folder' && before?.kind === 'folder') {
      Object.assign(before, attributesOf(entry));
      return;
    }
    if (entry.kind === 'symlink' && (entry.to === '' || entry.to.length >= limits.imagePathBytes))
      throw badLayer(`the symlink ${quoted(entry.path)} leads to no usable path`);
    const { kind, size, offset, major, minor, to } = entry;
    const children = kind === 'folder' ? new Map<string, Node>() : NONE;
    parent.children.set(name, {
      kind,
      ...attributesOf(entry),
      size,
      layer,
      offset,
      major,
      minor,
      to,
      children,
    });
  }

  #linked(entry: TarEntry): Node {
    const parts = partsOf(entry.to);
    const target =
      parts.length === 0
        ? undefined
        : this.#walk(parts.slice(0, -1), false)
            ?.at(-1)
            ?.children.get(parts.at(-1) ?? '');
    if (!target || target.kind === 'folder')
      throw badLayer(
        `the hard link ${quoted(entry.path)} leads to ${quoted(entry.to)}, which is ${target ? 'a folder' : 'not there'}`,
      );
    return target;
  }

  /** The folders from the root to `parts`, symlinks on the way followed; undefined: not there, and not to be made. */
  #walk(parts: readonly string[], make: boolean): Node[] | undefined {
    let way = [this.root];
    const ahead = [...parts].reverse();
    let links = 0;
    for (let part = ahead.pop(); part !== undefined; part = ahead.pop()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        if (way.length > 1) way.pop();
        continue;
      }
      const here = way.at(-1)!;
      let next = here.children.get(part);
      if (!next) {
        if (!make) return undefined;
        checkName(part, parts);
        next = folder(here.mtime);
        here.children.set(part, next);
      }
      if (next.kind === 'folder') way.push(next);
      else if (next.kind === 'symlink') {
        if (++links > SYMLINKS_MAX)
          throw badLayer(`the way to ${quoted(parts.join('/'))} has too many symlinks`);
        if (next.to.startsWith('/')) way = [this.root];
        for (const each of next.to.split('/').reverse()) ahead.push(each);
      } else if (make) throw badLayer(`${quoted(part)} is both a ${next.kind} and a folder`);
      else return undefined;
      if (way.length > limits.imagePathBytes / 2) throw badLayer('its folders are too deep');
    }
    return way;
  }
}

/** Parts of a path that stays where it is; throws for one that leads out. */
function partsOf(path: string): string[] {
  if (path.length >= limits.imagePathBytes)
    throw badLayer(`a path has more than ${limits.imagePathBytes} bytes`);
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  for (const part of parts) checkName(part, parts);
  return parts;
}

function checkName(part: string, parts: readonly string[]): void {
  const name =
    part.startsWith(WHITEOUT) && !part.startsWith(`${WHITEOUT}${WHITEOUT}`)
      ? part.slice(WHITEOUT.length)
      : part;
  if (part === '..' || name === '..' || name === '.' || name === '' || part.includes('\0'))
    throw badLayer(`${quoted(parts.join('/'))} leads out of it`);
  if (part.length > NAME_MAX_BYTES)
    throw badLayer(`the name ${quoted(part)} has more than ${NAME_MAX_BYTES} bytes`);
}

function normalised(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts;
}

function attributesOf({ mode, uid, gid, mtime, mtimeNs, xattrs }: TarEntry) {
  return { mode, uid, gid, mtime, mtimeNs, xattrs };
}

/** Implied by what lies in it. */
function folder(mtime: number): Node {
  return {
    kind: 'folder',
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtime,
    mtimeNs: 0,
    size: 0,
    layer: 0,
    offset: 0,
    major: 0,
    minor: 0,
    xattrs: new Map(),
    to: '',
    children: new Map(),
  };
}
