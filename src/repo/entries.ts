// Reads the NUL-separated lists that git prints. Paths are bytes to git: they are kept as latin1 text, one
// letter per byte, so that they go back to git unharmed; `shown` turns them into readable text.

export interface IndexEntry {
  mode: string;
  id: string;
  /** 0, or 1 to 3 while a merge conflict is open. */
  stage: number;
  /** As latin1. */
  path: string;
}

export const GITLINK = '160000';
export const SYMLINK = '120000';
export const EXECUTABLE = '100755';

export function splitNul(output: Buffer): string[] {
  const parts = output.toString('latin1').split('\0');
  if (parts.at(-1) === '') parts.pop();
  return parts;
}

/** Output of `ls-files --stage -z`. */
export function parseIndexEntries(output: Buffer): IndexEntry[] {
  return splitNul(output).map((row) => {
    const tab = row.indexOf('\t');
    const [mode = '', id = '', stage = '0'] = row.slice(0, tab).split(' ');
    return { mode, id, stage: Number(stage), path: row.slice(tab + 1) };
  });
}

/** Output of `ls-tree -z` as index entries of stage 0. */
export function parseTreeEntries(output: Buffer): IndexEntry[] {
  return splitNul(output).map((row) => {
    const tab = row.indexOf('\t');
    const [mode = '', , id = ''] = row.slice(0, tab).split(' ');
    return { mode, id, stage: 0, path: row.slice(tab + 1) };
  });
}

/** Input of `update-index -z --index-info`. */
export function formatIndexInfo(entries: readonly IndexEntry[]): Buffer {
  return Buffer.from(entries.map((e) => `${e.mode} ${e.id} ${e.stage}\t${e.path}\0`).join(''), 'latin1');
}

/** A latin1 path as the text that a person reads. */
export function shown(path: string): string {
  return Buffer.from(path, 'latin1').toString('utf8');
}

/** Text as latin1 path. */
export function asBytes(path: string): string {
  return Buffer.from(path, 'utf8').toString('latin1');
}
