// One block of 512 bytes of a tar → its fields. Hostile input: nothing is believed but what the checksum covers, and
// numbers that cannot be right are errors. Formats: v7, ustar and GNU (https://www.gnu.org/software/tar/manual/html_node/Standard.html).
// Names are kept byte by byte, as latin1 strings: an image may use any encoding.

import { badLayer } from './layer-error.ts';

export const BLOCK_BYTES = 512;

export interface TarHeader {
  name: string;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: number;
  /** One character; "0" also stands for the NUL of v7. */
  kind: string;
  linkName: string;
  major: number;
  minor: number;
}

/** null: a block of zeros, which ends an archive. */
export function parseHeader(block: Buffer): TarHeader | null {
  let sum = 0;
  for (let at = 0; at < BLOCK_BYTES; at++) sum += at >= 148 && at < 156 ? 0x20 : block[at]!;
  if (sum === 8 * 0x20) return null;
  if (readNumber(block, 148, 8, 'checksum') !== sum)
    throw badLayer('it is not a tar: the checksum of a header is wrong');
  const kind = String.fromCharCode(block[156] || 0x30);
  const magic = block.toString('latin1', 257, 263);
  // GNU's own format has other things where ustar has the prefix.
  const prefix = magic === 'ustar\0' ? readText(block, 345, 155) : '';
  const name = readText(block, 0, 100);
  const isDevice = kind === '3' || kind === '4';
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    mode: readNumber(block, 100, 8, 'mode') & 0o7777,
    uid: readNumber(block, 108, 8, 'uid'),
    gid: readNumber(block, 116, 8, 'gid'),
    size: readNumber(block, 124, 12, 'size'),
    mtime: readNumber(block, 136, 12, 'mtime', true),
    kind,
    linkName: readText(block, 157, 100),
    major: isDevice ? readNumber(block, 329, 8, 'device') : 0,
    minor: isDevice ? readNumber(block, 337, 8, 'device') : 0,
  };
}

function readText(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at);
  return block.toString('latin1', at, end < 0 || end > at + length ? at + length : end);
}

/** Octal text, or GNU's base 256 when the first bit is set. */
function readNumber(block: Buffer, at: number, length: number, what: string, mayBeNegative = false): number {
  const first = block[at]!;
  if ((first & 0x80) !== 0) {
    let value = first & 0x40 ? BigInt(first) - 0x100n : BigInt(first & 0x3f);
    for (let each = at + 1; each < at + length; each++) value = (value << 8n) | BigInt(block[each]!);
    const number = Number(value);
    if (!Number.isSafeInteger(number) || (number < 0 && !mayBeNegative))
      throw badLayer(`a header's ${what} is out of range`);
    return number;
  }
  const text = readText(block, at, length).trim();
  if (!/^[0-7]*$/.test(text)) throw badLayer(`a header's ${what} is not a number`);
  return text === '' ? 0 : Number.parseInt(text, 8);
}
