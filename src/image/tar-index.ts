// Finds out what a tar holds and where, without copying: the file data stays where it is. Push the bytes, skip what
// need not be read. Hostile input: every name, number and type; this is a fuzz target (test/fuzz/tar-index.ts).

import { Gather } from '../protocol/gather.ts';
import { limits } from '../protocol/limits.ts';
import { badLayer, quoted } from './layer-error.ts';
import { parseExtended } from './tar-extended.ts';
import { BLOCK_BYTES, parseHeader, type TarHeader } from './tar-header.ts';

export type EntryKind = 'file' | 'folder' | 'symlink' | 'link' | 'character' | 'block' | 'fifo';

export interface TarEntry {
  kind: EntryKind;
  /** As in the tar, byte by byte (latin1); nobody has judged it yet. */
  path: string;
  /** Where a link or symlink leads. */
  to: string;
  /** The lower twelve bits. */
  mode: number;
  uid: number;
  gid: number;
  /** Seconds since 1970, whole; and nanoseconds. */
  mtime: number;
  mtimeNs: number;
  size: number;
  /** Of the data, in the tar; a multiple of 512. */
  offset: number;
  major: number;
  minor: number;
  xattrs: Map<string, Buffer>;
}

const KINDS: Record<string, EntryKind> = {
  0: 'file',
  7: 'file',
  1: 'link',
  2: 'symlink',
  3: 'character',
  4: 'block',
  5: 'folder',
  6: 'fifo',
};
const XATTR_KEY = 'SCHILY.xattr.';
/** Of the host's own overlay file systems; in a guest they would mean something. */
const OVERLAY_XATTR = /^(?:trusted|user)\.overlay\./;
const UID_MAX = 2 ** 32 - 1;

export class TarIndexer {
  readonly entries: TarEntry[] = [];
  /** An end marker was seen: what follows is nothing. */
  ended = false;
  readonly #onEntry: ((entry: TarEntry) => void) | undefined;
  #position = 0;
  #skip = 0;
  readonly #kept = new Gather();
  #wantedBytes = BLOCK_BYTES;
  /** The header whose data (a long name, PAX records) is being kept. */
  #meta: TarHeader | undefined;
  #longName: string | undefined;
  #longLink: string | undefined;
  #extended: Map<string, string> | undefined;
  #count = 0;

  /** Without `onEntry`, entries are collected. */
  constructor(onEntry?: (entry: TarEntry) => void) {
    this.#onEntry = onEntry;
  }

  /** So many bytes from here on are data that need not be pushed. */
  get skippable(): number {
    return this.ended ? Number.POSITIVE_INFINITY : this.#skip;
  }

  get position(): number {
    return this.#position;
  }

  skip(bytes: number): void {
    this.#position += bytes;
    this.#skip -= Math.min(this.#skip, bytes);
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.ended) {
      if (this.#skip > 0) {
        const over = Math.min(this.#skip, chunk.length - at);
        this.skip(over);
        at += over;
        continue;
      }
      const take = Math.min(this.#wantedBytes - this.#kept.bytes, chunk.length - at);
      this.#kept.add(chunk.subarray(at, at + take));
      this.#position += take;
      at += take;
      if (this.#kept.bytes < this.#wantedBytes) return;
      const block = this.#kept.take();
      this.#wantedBytes = BLOCK_BYTES;
      if (this.#meta) this.#takeMeta(this.#meta, block.subarray(0, this.#meta.size));
      else this.#takeHeader(block);
    }
  }

  /** The tar is over. A tar without an end marker is whole when its last entry is. */
  finish(): TarEntry[] {
    if (this.#kept.bytes > 0 || this.#meta || (this.#skip > 0 && !this.ended))
      throw badLayer('its tar is cut off');
    return this.entries;
  }

  #takeMeta(header: TarHeader, data: Buffer): void {
    this.#meta = undefined;
    const nul = data.indexOf(0);
    const text = data.toString('latin1', 0, nul < 0 ? data.length : nul);
    if (header.kind === 'L') this.#longName = text;
    else if (header.kind === 'K') this.#longLink = text;
    else if (header.kind === 'x') this.#extended = parseExtended(data);
  }

  #takeHeader(block: Buffer): void {
    const header = parseHeader(block);
    if (header === null) {
      this.ended = true;
      return;
    }
    if (['L', 'K', 'x', 'g'].includes(header.kind)) {
      if (header.size > limits.imageTarHeaderBytes)
        throw badLayer(
          `a header of its tar has ${header.size} bytes, more than ${limits.imageTarHeaderBytes}`,
        );
      if (header.size === 0) return;
      this.#meta = header;
      this.#wantedBytes = padded(header.size);
      return;
    }
    if (++this.#count > limits.imageEntries)
      throw badLayer(`it has more than ${limits.imageEntries} entries`);
    const entry = this.#entry(header);
    this.#longName = this.#longLink = this.#extended = undefined;
    this.#skip = padded(entry.kind === 'file' ? entry.size : 0);
    if (this.#onEntry) this.#onEntry(entry);
    else this.entries.push(entry);
  }

  #entry(header: TarHeader): TarEntry {
    const pax = this.#extended ?? new Map<string, string>();
    const path = pax.get('path') ?? this.#longName ?? header.name;
    for (const key of pax.keys())
      if (key.startsWith('GNU.sparse.'))
        throw badLayer(`${quoted(path)} is a sparse file, which layers may not hold`);
    let kind = KINDS[header.kind];
    if (kind === undefined) throw badLayer(`${quoted(path)} is of the unknown type ${quoted(header.kind)}`);
    // v7 has no type for folders.
    if (kind === 'file' && path.endsWith('/')) kind = 'folder';
    const to =
      kind === 'link' || kind === 'symlink' ? (pax.get('linkpath') ?? this.#longLink ?? header.linkName) : '';
    const [mtime, mtimeNs] = readTime(pax.get('mtime'), header.mtime);
    const size = readCount(pax.get('size'), header.size, limits.imageLayerBytes, 'size', path);
    return {
      kind,
      path,
      to,
      mode: header.mode,
      uid: readCount(pax.get('uid'), header.uid, UID_MAX, 'uid', path),
      gid: readCount(pax.get('gid'), header.gid, UID_MAX, 'gid', path),
      mtime,
      mtimeNs,
      // Old archivers give links the size of what they lead to, and no data.
      size: kind === 'file' ? size : 0,
      offset: this.#position,
      major: header.major,
      minor: header.minor,
      xattrs: readXattrs(pax, path),
    };
  }
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
}

function readCount(
  text: string | undefined,
  fallback: number,
  most: number,
  what: string,
  path: string,
): number {
  const value = text === undefined ? fallback : /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= 0 && value <= most) return value;
  throw badLayer(`the ${what} of ${quoted(path)} is not a number up to ${most}`);
}

function readTime(text: string | undefined, fallback: number): [number, number] {
  const match = text === undefined ? null : /^(-?[0-9]{1,15})(?:\.([0-9]{1,30}))?$/.exec(text);
  if (!match) return [fallback, 0];
  const nanoseconds = Number((match[2] ?? '').slice(0, 9).padEnd(9, '0'));
  const seconds = Number(match[1]);
  return text!.startsWith('-') && nanoseconds > 0 ? [seconds - 1, 1e9 - nanoseconds] : [seconds, nanoseconds];
}

function readXattrs(pax: Map<string, string>, path: string): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  let bytes = 0;
  for (const [key, value] of pax) {
    if (!key.startsWith(XATTR_KEY)) continue;
    const name = key.slice(XATTR_KEY.length);
    if (OVERLAY_XATTR.test(name)) continue;
    bytes += name.length + value.length;
    if (bytes > limits.imageXattrBytes || name.length > 255)
      throw badLayer(`${quoted(path)} has extended attributes of more than ${limits.imageXattrBytes} bytes`);
    found.set(name, Buffer.from(value, 'latin1'));
  }
  return found;
}
