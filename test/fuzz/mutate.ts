// Breeds hostile bytes from seeds, the same ones for the same number: flips, cuts, doubles, splices, and the bytes
// that parsers stumble over.

export type Random = (below: number) => number;

const MAX_BYTES = 256 * 1024;
const TROUBLE = [
  '\0',
  '\r\n',
  '\n',
  '..',
  '//',
  '%2e',
  '%00',
  '\\',
  '@',
  ':',
  '[',
  ']',
  '*',
  '{',
  '}',
  '"',
  '0000',
  'ffff',
  '0x',
  '-1',
  '99999999999999999999',
  '__proto__',
  'é',
  '\u202e',
  '\u001b[31m',
  'xn--',
  'null',
  'true',
].map((text) => Buffer.from(text));

/** Mulberry32. */
export function randomFrom(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

export function mutate(pool: readonly Buffer[], random: Random): Buffer {
  let bytes: Buffer = Buffer.from(pool[random(pool.length)]!);
  for (let rounds = 1 + random(4); rounds > 0; rounds--) bytes = once(bytes, pool, random);
  return bytes.subarray(0, MAX_BYTES);
}

function once(bytes: Buffer, pool: readonly Buffer[], random: Random): Buffer {
  const at = random(bytes.length + 1);
  const to = Math.min(bytes.length, at + random(32));
  const [before, rest] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (random(9)) {
    case 0:
      if (at < bytes.length) bytes[at]! ^= 1 << random(8);
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = random(256);
      return bytes;
    case 2:
      return Buffer.from(before);
    case 3:
      return Buffer.concat([before, bytes.subarray(to)]);
    case 4:
      return Buffer.concat([before, TROUBLE[random(TROUBLE.length)]!, rest]);
    case 5:
      return Buffer.concat([before, ...Array<Buffer>(1 + random(200)).fill(bytes.subarray(at, to)), rest]);
    case 6: {
      const other = pool[random(pool.length)]!;
      return Buffer.concat([before, other.subarray(random(other.length + 1))]);
    }
    case 7:
      return Buffer.concat([rest, before]);
    default:
      return Buffer.concat([before, Buffer.from([random(256), random(256)]), rest]);
  }
}
