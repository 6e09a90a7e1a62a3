// Writes the archive that the kernel unpacks as its first file system: cpio in the "newc" format
// (https://docs.kernel.org/driver-api/early-userspace/buffer-format.html). Our own, because a device node in it
// must not need root to be made.

export interface CpioEntry {
  path: string;
  mode: number;
  content?: Buffer;
  /** Of a device node: major and minor. */
  device?: readonly [number, number];
}

const PAGE_BYTES = 4096;
export const FILE = 0o100000;
export const FOLDER = 0o040000;
export const CHARACTER_DEVICE = 0o020000;

/**
 * In whole pages: with exactly 2 GiB of memory, QEMU's microvm loads an archive that is not up to the last byte of it,
 * over ACPI tables that the firmware has put into the last page, and the kernel hangs.
 */
export function encodeCpio(entries: readonly CpioEntry[]): Buffer {
  const parts = entries.flatMap((entry, index) => encodeEntry(entry, index + 1));
  const whole = Buffer.concat([...parts, ...encodeEntry({ path: 'TRAILER!!!', mode: 0 }, 0)]);
  return Buffer.concat([whole, padding(whole.length, PAGE_BYTES)]);
}

function encodeEntry({ path, mode, content, device = [0, 0] }: CpioEntry, inode: number): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  const size = content?.length ?? 0;
  const links = (mode & FOLDER) === FOLDER ? 2 : 1;
  const fields = [inode, mode, 0, 0, links, 0, size, 0, 0, device[0], device[1], name.length, 0];
  const head = Buffer.from(
    `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`,
    'latin1',
  );
  return [head, name, padding(head.length + name.length), ...(content ? [content, padding(size)] : [])];
}

function padding(length: number, unit = 4): Buffer {
  return Buffer.alloc((unit - (length % unit)) % unit);
}
