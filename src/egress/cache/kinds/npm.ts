// npm: tarballs are below `/-/`, a package's document tells the integrity of each version.

import { integrityOf, type Told, type What } from '../what.ts';

const NAME = String.raw`(?:@[\w.~-]+(?:\/|%2[fF]))?[\w.~-]+`;
const TARBALL = new RegExp(String.raw`^${NAME}\/-\/(?:@[\w.~-]+\/)?[\w.~+-]+\.tgz$`);
const DOCUMENT = new RegExp(`^${NAME}$`);

export function npm(rest: string): What | null {
  if (TARBALL.test(rest)) return { role: 'file', named: null };
  if (DOCUMENT.test(rest) && !rest.startsWith('-')) return { role: 'index', read };
  return null;
}

function read(text: string): Told[] {
  const { versions } = JSON.parse(text) as { versions?: Record<string, { dist?: Record<string, unknown> }> };
  return Object.values(versions ?? {}).flatMap((version) => {
    const url = version?.dist?.['tarball'];
    const digest = integrityOf(version?.dist?.['integrity']);
    return typeof url === 'string' && digest ? [{ url, digest }] : [];
  });
}
