// Whose a secret is: the project that a folder of the user belongs to.

import { openRepository } from '../repo/index.ts';

/** The same root that the records of its sandboxes name. */
export async function projectRoot(path: string): Promise<string> {
  return (await openRepository(path)).root;
}
