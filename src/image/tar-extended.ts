// The records of PAX headers: "LENGTH KEY=VALUE\n" each (pax in POSIX.1-2017). Hostile input: a record that does not
// end where it says is an error.

import { badLayer } from './layer-error.ts';

/** Keys and values byte by byte, as latin1; the last record of a key wins. */
export function parseExtended(data: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  let at = 0;
  while (at < data.length) {
    const space = data.indexOf(0x20, at);
    const digits = data.toString('latin1', at, space < 0 || space > at + 10 ? at + 10 : space);
    const length = /^[0-9]{1,9}$/.test(digits) && space > 0 ? Number(digits) : 0;
    const end = at + length;
    if (length < 5 || end > data.length || data[end - 1] !== 0x0a)
      throw badLayer('a PAX record does not end where it says');
    const equals = data.indexOf(0x3d, space);
    if (equals < 0 || equals >= end) throw badLayer('a PAX record has no "="');
    records.set(data.toString('latin1', space + 1, equals), data.toString('latin1', equals + 1, end - 1));
    at = end;
  }
  return records;
}
