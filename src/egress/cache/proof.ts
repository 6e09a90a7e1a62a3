// Whether an answer may be kept, by which proof, and for whom a kept one is good. Pure. The proofs:
//   index    the registry's own index, which this door saw over verified TLS, tells this digest for this address
//   lasting  verified TLS, and the registry's rule is that the address never gets other content
//   named    nothing but the digest itself: good only for who names it, in the address or in a header

import type { ResponseHead } from '../http/call.ts';
import { listOf, valuesOf } from '../http/headers.ts';
import type { Algorithm, Digest } from './what.ts';

export type Proof = 'index' | 'lasting' | 'named';
export type Digests = Readonly<Record<Algorithm, string | null>>;

/** What is known of an address before its answer. */
export interface Expected {
  secure: boolean;
  lasting: boolean;
  /** By the address itself. */
  named: Digest | null;
  /** By the guest, in a header. */
  claimed: Digest | null;
  /** By an index. */
  told: Digest | null;
}

export interface Kept {
  proof: Proof;
  digests: Digests;
  keptAtUnixMs: number;
}

export const MAX_OBJECT_BYTES = 1024 ** 3;
/** A registry takes a malicious version back; what was kept of it must not live for ever. */
const GOOD_FOR_MS = 30 * 24 * 3_600_000;
/** What an answer may vary by: all of it is the same in each request that is kept. */
const MAY_VARY = new Set(['accept', 'accept-encoding', 'accept-language', 'origin', 'user-agent']);

/** Its length in bytes, null when the origin does not tell; false when it is not to be kept. */
export function keepableLength({ status, headers, bodiless }: ResponseHead): number | null | false {
  if (status !== 200 || bodiless) return false;
  if (listOf(headers, 'content-encoding').some((each) => each !== 'identity')) return false;
  if (valuesOf(headers, 'content-range').length > 0) return false;
  if (listOf(headers, 'vary').some((each) => !MAY_VARY.has(each))) return false;
  if (listOf(headers, 'cache-control').some((each) => /^(?:no-store|private)\b/.test(each))) return false;
  if (listOf(headers, 'content-type').some((each) => each.startsWith('text/html'))) return false;
  const lengths = valuesOf(headers, 'content-length');
  if (lengths.length === 0) return null;
  const bytes = lengths.length === 1 && /^\d{1,15}$/.test(lengths[0]!) ? Number(lengths[0]) : 0;
  return bytes > 0 && bytes <= MAX_OBJECT_BYTES ? bytes : false;
}

/** Null: what came is proved by nothing, or is not what was told. */
export function prove(expected: Expected, digests: Digests, lengthKnown: boolean): Proof | null {
  const { secure, lasting, named, claimed, told } = expected;
  if ((named && !isOf(digests, named)) || (told && !isOf(digests, told))) return null;
  if (secure && told) return 'index';
  // Without a length, an answer that broke off may look whole.
  if (secure && lasting && lengthKnown) return 'lasting';
  return named || (claimed && isOf(digests, claimed)) ? 'named' : null;
}

export function isGood(kept: Kept, { named, claimed, told }: Expected, nowUnixMs: number): boolean {
  const asked = [named, claimed, told].filter((each) => each !== null);
  if (!asked.every((each) => isOf(kept.digests, each))) return false;
  // Whoever names the bytes gets those bytes, from wherever they are.
  if (named || claimed) return true;
  const ageMs = nowUnixMs - kept.keptAtUnixMs;
  return kept.proof !== 'named' && ageMs >= 0 && ageMs < GOOD_FOR_MS;
}

function isOf(digests: Digests, { algorithm, hex }: Digest): boolean {
  return digests[algorithm] === hex;
}
