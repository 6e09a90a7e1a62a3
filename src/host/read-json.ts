// Files of our own that may be spoiled: what they say is then not known, and no reason to give up.

import { readFile } from 'node:fs/promises';

/** undefined: it is not there, or no JSON. Nobody has looked at its shape. */
export async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return undefined;
  }
}
