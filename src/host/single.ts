// One process at a time, decided by the kernel: an exclusive transaction of SQLite holds a lock on the file that
// ends with the process, however it ends. No stale lock can exist, and no pid has to be believed.

import { DatabaseSync } from 'node:sqlite';

export interface Held {
  release(): void;
}

/** undefined: another process holds `file`. */
export function holdAlone(file: string): Held | undefined {
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return { release: () => database.close() };
  } catch (error) {
    database.close();
    if (/locked|busy/i.test((error as Error).message)) return undefined;
    throw error;
  }
}
