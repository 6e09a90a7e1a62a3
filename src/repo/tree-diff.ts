// Compares two trees without git's own diff: that collects every row before it prints one, and a few kilobytes of
// nested trees make more rows than any memory holds. Here every row is counted when it is met.

import type { Change } from './changes.ts';
import { EXECUTABLE, GITLINK, SYMLINK, shown } from './entries.ts';
import { tooLarge } from './handback-error.ts';
import type { TreeRow } from './tree-reader.ts';

export interface TreeDiffLimits {
  /** Files and folders that differ. */
  rows: number;
  pathBytes: number;
  totalPathBytes: number;
}

export type ReadTree = (id: string) => Promise<Iterable<TreeRow>>;

interface Pair {
  before: string | null;
  after: string | null;
  /** As latin1; "" at the root. */
  path: string;
}

const AHEAD = 16;
const NOTHING = '000000';
const FOLDER = '040000';
const FILE = '100644';

/** Rows sorted by path. `before` null: everything is new. */
export async function diffTrees(
  read: ReadTree,
  before: string | null,
  after: string,
  limits: TreeDiffLimits,
): Promise<Change[]> {
  const changes: Change[] = [];
  const count = counter(limits);
  let level: Pair[] = before === after ? [] : [{ before, after, path: '' }];
  while (level.length > 0) {
    const next: Pair[] = [];
    for await (const [pair, ...trees] of readAhead(read, level)) {
      for (const [oldRow, newRow] of differing(...trees)) {
        const name = (newRow ?? oldRow)!.name;
        const path = pair.path ? `${pair.path}/${name}` : name;
        count(path);
        const inner = { before: folderId(oldRow), after: folderId(newRow), path };
        if (inner.before || inner.after) next.push(inner);
        const change = fileChange(inner.before ? null : oldRow, inner.after ? null : newRow, path);
        if (change) changes.push(change);
      }
    }
    level = next;
  }
  return changes.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

type Trees = [before: Iterable<TreeRow>, after: Iterable<TreeRow>];

/** The pairs in order with their trees, a few of them read ahead. */
async function* readAhead(read: ReadTree, level: readonly Pair[]): AsyncGenerator<[Pair, ...Trees]> {
  const both = async ({ before, after }: Pair): Promise<Trees> =>
    Promise.all([before ? read(before) : [], after ? read(after) : []]);
  for (let from = 0; from < level.length; from += AHEAD) {
    const pairs = level.slice(from, from + AHEAD);
    const trees = await Promise.all(pairs.map(both));
    for (const [n, pair] of pairs.entries()) yield [pair, ...trees[n]!];
  }
}

/** Rows of the old tree are the user's and are kept; those of the new one are a guest's and only pass by. */
function* differing(...[before, after]: Trees): Generator<[TreeRow | null, TreeRow | null]> {
  const old = new Map([...before].map((row) => [row.name, row]));
  for (const row of after) {
    const oldRow = old.get(row.name) ?? null;
    old.delete(row.name);
    if (oldRow?.id !== row.id || canonical(oldRow.mode) !== canonical(row.mode)) yield [oldRow, row];
  }
  for (const oldRow of old.values()) yield [oldRow, null];
}

function fileChange(oldRow: TreeRow | null, newRow: TreeRow | null, path: string): Change | null {
  if (!oldRow && !newRow) return null;
  const oldMode = oldRow ? canonical(oldRow.mode) : NOTHING;
  const newMode = newRow ? canonical(newRow.mode) : NOTHING;
  const zeros = '0'.repeat((newRow ?? oldRow)!.id.length);
  const sameKind = oldMode.slice(0, 2) === newMode.slice(0, 2);
  const status = !oldRow ? 'A' : !newRow ? 'D' : sameKind ? 'M' : 'T';
  return {
    status,
    oldMode,
    newMode,
    oldId: oldRow?.id ?? zeros,
    newId: newRow?.id ?? zeros,
    path: shown(path),
  };
}

function folderId(row: TreeRow | null): string | null {
  return row && canonical(row.mode) === FOLDER ? row.id : null;
}

/** As git reads a mode: whatever else is written there, only kind and the owner's x count. */
function canonical(mode: string): string {
  const bits = Number.parseInt(mode, 8);
  const kind = bits & 0o170000;
  if (kind === 0o100000) return bits & 0o100 ? EXECUTABLE : FILE;
  if (kind === 0o120000) return SYMLINK;
  return kind === 0o040000 ? FOLDER : GITLINK;
}

function counter(limits: TreeDiffLimits): (path: string) => void {
  let rows = 0;
  let bytes = 0;
  return (path) => {
    rows++;
    bytes += path.length;
    if (rows > limits.rows) throw tooLarge('its change', rows, limits.rows, 'files or more');
    if (path.length > limits.pathBytes) throw tooLarge('a path', path.length, limits.pathBytes, 'bytes');
    if (bytes > limits.totalPathBytes)
      throw tooLarge('its list of files', bytes, limits.totalPathBytes, 'bytes or more');
  };
}
