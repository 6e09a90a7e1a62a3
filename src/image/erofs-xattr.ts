// Extended attributes as EROFS keeps them behind an inode: a header of 12 bytes, then entries, each padded to 4.

/** Prefixes that have a number (fs/erofs/erofs_fs.h). What has another prefix is left out: no kernel would show it. */
const PREFIXES: readonly [string, number][] = [
  ['user.', 1],
  ['trusted.', 4],
  ['security.', 6],
];

/** Nothing when there is none. */
export function encodeXattrs(xattrs: ReadonlyMap<string, Buffer>): Buffer {
  const entries: Buffer[] = [];
  for (const [name, value] of xattrs) {
    const prefix = PREFIXES.find(([text]) => name.startsWith(text) && name.length > text.length);
    if (!prefix || value.length > 0xffff) continue;
    const rest = Buffer.from(name.slice(prefix[0].length), 'latin1');
    const entry = Buffer.alloc(Math.ceil((4 + rest.length + value.length) / 4) * 4);
    entry.writeUInt8(rest.length, 0);
    entry.writeUInt8(prefix[1], 1);
    entry.writeUInt16LE(value.length, 2);
    rest.copy(entry, 4);
    value.copy(entry, 4 + rest.length);
    entries.push(entry);
  }
  return entries.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.alloc(12), ...entries]);
}
