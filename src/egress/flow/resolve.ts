// Asks this computer's resolver for all addresses of a name, as its other programs do.

import { lookup } from 'node:dns/promises';

export async function resolveName(name: string): Promise<string[]> {
  const found = await lookup(name, { all: true, order: 'verbatim' });
  return found.map(({ address }) => address);
}
