// What an address at a registry is: a file that never changes, or an index that tells digests of files. Pure.

export type Algorithm = 'sha256' | 'sha512' | 'blake2b256';

export interface Digest {
  algorithm: Algorithm;
  /** Small letters. */
  hex: string;
}

/** What an index says. Foreign, not judged yet. */
export interface Told {
  /** Absolute, or relative to the index; `below` a registry's base instead, if that is set. */
  url: string;
  below?: true;
  digest: Digest;
}

export type What =
  /** `named`: the digest that its address holds, so that whoever asks names what must come. */
  | { role: 'file'; named: Digest | null }
  /** Answers what the text, which is foreign, says; throws or answers nothing when it says nothing. */
  | { role: 'index'; read(text: string): Told[] };

/** `rest`: the path after the registry's base, with a query if there is one. */
export type Kind = (rest: string) => What | null;

const HEX_CHARS: Record<Algorithm, number> = { sha256: 64, sha512: 128, blake2b256: 64 };

/** Null when it is not a digest of that kind. */
export function digestOf(algorithm: Algorithm, hex: unknown): Digest | null {
  if (typeof hex !== 'string' || hex.length !== HEX_CHARS[algorithm] || !/^[0-9a-f]+$/.test(hex)) return null;
  return { algorithm, hex };
}

/** The strongest of a list as in `integrity` (SRI) that is strong enough; sha1 is not. */
export function integrityOf(text: unknown): Digest | null {
  if (typeof text !== 'string' || text.length > 2_000) return null;
  for (const algorithm of ['sha512', 'sha256'] as const) {
    const found = new RegExp(`(?:^|\\s)${algorithm}-([A-Za-z0-9+/]+={0,2})(?:\\?\\S*)?(?=\\s|$)`).exec(text);
    const digest = found && digestOf(algorithm, Buffer.from(found[1]!, 'base64').toString('hex'));
    if (digest) return digest;
  }
  return null;
}
