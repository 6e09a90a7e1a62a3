// Debian and Ubuntu archives: packages in the pool, and indexes by their digest.

import { digestOf, type What } from '../what.ts';

const POOL = /^(?:[\w.+-]+\/)*pool\/(?:[\w.+~-]+\/)+[\w.+~%-]+\.u?deb$/;
const BY_HASH = /^(?:[\w.+-]+\/)*dists\/(?:[\w.+-]+\/)+by-hash\/SHA256\/([0-9a-f]{64})$/;

export function debian(rest: string): What | null {
  const hex = BY_HASH.exec(rest)?.[1];
  if (hex) return { role: 'file', named: digestOf('sha256', hex) };
  return POOL.test(rest) && !rest.includes('..') ? { role: 'file', named: null } : null;
}
