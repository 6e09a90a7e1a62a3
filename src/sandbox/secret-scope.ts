// Whose a secret is: the project that a folder of the user belongs to.

import { WarrenError } from '../protocol/error.ts';
import { openRepository } from '../repo/index.ts';

/** The same root that the records of its sandboxes name. */
export async function projectRoot(path: string): Promise<string> {
  try {
    return (await openRepository(path)).root;
  } catch (error) {
    const { code, message } = WarrenError.from(error);
    if (code !== 'repo.not-a-repository') throw error;
    const remedy = 'stand in the repository whose sandboxes are meant, or, for all sandboxes, say --global';
    throw new WarrenError({ code, message, remedy }, { cause: error });
  }
}
