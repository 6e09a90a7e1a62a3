// Durations and sizes as Go programs write them: `1h2m3.5s`, `64m`.

const UNITS_NS: Record<string, number> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};
const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y;
const LONGEST_NS = 2 ** 63;

/** Nanoseconds; null: it is none. */
export function parseDurationNs(text: string): number | null {
  if (text.length > 100) return null;
  const unsigned = text.replace(/^[+-]/, '');
  if (unsigned === '0') return 0;
  let total = 0;
  PART.lastIndex = 0;
  while (PART.lastIndex < unsigned.length) {
    const match = PART.exec(unsigned);
    if (!match) return null;
    total += Number(match[1]) * UNITS_NS[match[2]!]!;
  }
  if (unsigned === '' || total >= LONGEST_NS) return null;
  return Math.trunc(text.startsWith('-') ? -total : total);
}

const SIZE = /^(\d+(?:\.\d+)*) ?([kKmMgGtTpP])?[iI]?[bB]?$/;

/** Bytes, each unit 1024 of the one before; null: it is none. */
export function parseSizeBytes(text: string): number | null {
  const match = text.length > 100 ? null : SIZE.exec(text);
  const number = Number(match?.[1] ?? Number.NaN);
  if (!match || Number.isNaN(number)) return null;
  const power = match[2] === undefined ? 0 : 'kmgtp'.indexOf(match[2].toLowerCase()) + 1;
  const bytes = Math.trunc(number * 1024 ** power);
  return Number.isSafeInteger(bytes) ? bytes : null;
}
