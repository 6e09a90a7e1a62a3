// Go's module proxy: what belongs to a version never changes; `.info` of a branch does, and is no version.

import type { What } from '../what.ts';

const VERSION = /^(?:[a-z0-9.!_~-]+\/)+@v\/v\d+\.\d+\.\d+[\w.!-]*(?:\+incompatible)?\.(?:zip|mod|info)$/;

export function goProxy(rest: string): What | null {
  return VERSION.test(rest) && !rest.includes('..') ? { role: 'file', named: null } : null;
}
