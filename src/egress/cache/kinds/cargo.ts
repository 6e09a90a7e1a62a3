// cargo: the sparse index has a line of JSON per version, with the sha256 of the crate.

import { digestOf, type Told, type What } from '../what.ts';

const CRATE = /^(?:api\/v1\/)?crates\/[\w-]+\/(?:[\w-]+-\d[\w.+-]*\.crate|\d[\w.+-]*\/download)$/;
const LINES = /^(?:1\/\w|2\/[\w-]{2}|3\/\w\/[\w-]{3}|[\w-]{2}\/[\w-]{2}\/[\w-]{4,64})$/;

export function cargo(rest: string): What | null {
  return CRATE.test(rest) ? { role: 'file', named: null } : null;
}

export function cargoIndex(rest: string): What | null {
  return LINES.test(rest) ? { role: 'index', read } : null;
}

function read(text: string): Told[] {
  return text.split('\n').flatMap((line) => {
    if (line.trim() === '') return [];
    const { name, vers, cksum } = JSON.parse(line) as Record<string, unknown>;
    const digest = digestOf('sha256', cksum);
    if (!digest || !/^[\w-]{1,64}$/.test(String(name)) || !/^\d[\w.+-]{0,100}$/.test(String(vers))) return [];
    return [
      `crates/${name}/${name}-${vers}.crate`,
      `crates/${name}/${vers}/download`,
      `api/v1/crates/${name}/${vers}/download`,
    ].map((url) => ({ url, below: true as const, digest }));
  });
}
