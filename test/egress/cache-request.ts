// Requests for made-up tarballs, by number, and what a registry would answer: the same in each process.

import { createHash } from 'node:crypto';
import type { Considered } from '../../src/egress/http/downloads.ts';

export function considered(nr: number): Considered {
  return {
    protocol: 'https',
    target: { host: { kind: 'name', name: 'registry.npmjs.org' }, port: 443 },
    grant: { allowPrivate: false },
    head: { method: 'GET', path: `/a/-/a-1.0.${nr}.tgz`, headers: [] },
  };
}

export function bodyOf(nr: number, length: number): Buffer {
  const block = createHash('sha256').update(String(nr)).digest();
  return Buffer.alloc(length, block);
}
