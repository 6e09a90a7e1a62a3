// Which changes of a hand-back a host would execute, or would let decide what it executes, without anyone
// reading them: hooks, CI, editors, build files, instructions of agents. Pure. A list for a person to look at,
// not a verdict: the code itself can be hostile too.

import { becameExecutable, type Change, isDeleted, isGitlink, isSymlink } from './changes.ts';
import { insides, type RiskKind, riskTable } from './risk-table.ts';

export interface Risk {
  path: string;
  kind: RiskKind;
  /** Who would run it, and when. */
  why: string;
}

/** Text of a `package.json` on both sides; null where it is absent, too large or not to be had. */
export interface Contents {
  before: string | null;
  after: string | null;
}

/** What the user's own git configuration runs from the working tree. */
export interface HostCommands {
  /** Relative to the root, or null. */
  hooksPath: string | null;
  /** Paths relative to the root that stand in commands of filters, drivers, aliases and monitors. */
  named: ReadonlySet<string>;
}

export interface RiskContext {
  /** By path. */
  contents?: ReadonlyMap<string, Contents>;
  commands?: HostCommands;
  /** Symlinks that lead out of the working tree. */
  escaping?: ReadonlySet<string>;
  /** Folders that git would take for a repository. */
  embedded?: readonly string[];
}

const PER_KIND = 200;

/** At most 200 of a kind, and a row that counts the rest: a flood of one kind must not hide another. */
export function risks(changes: readonly Change[], context: RiskContext = {}): Risk[] {
  const embedded = (context.embedded ?? []).map((path): Risk => {
    return {
      path,
      kind: 'repository',
      why: 'git takes this folder for a repository and runs what its config names',
    };
  });
  return capped([...embedded, ...changes.flatMap((change) => riskOf(change, context) ?? [])]);
}

function riskOf(change: Change, context: RiskContext): Risk | null {
  const { path } = change;
  if (isDeleted(change)) return null;
  return (
    byConfiguration(path, context.commands) ??
    byName(change, context.contents?.get(path)) ??
    (context.escaping?.has(path)
      ? { path, kind: 'symlink', why: 'it leads out of the working tree' }
      : null) ??
    (isGitlink(change) ? { path, kind: 'submodule', why: 'it is a commit of another repository' } : null) ??
    (becameExecutable(change) ? { path, kind: 'executable', why: 'it became executable' } : null)
  );
}

/** Whether `risks` needs the text of this file on both sides. */
export const needsContent = (path: string): boolean => /(^|\/)package\.json$/i.test(path);

function byConfiguration(path: string, commands: HostCommands | undefined): Risk | null {
  const hook = commands?.hooksPath && path.startsWith(`${commands.hooksPath}/`);
  if (!hook && !commands?.named.has(path)) return null;
  return { path, kind: 'hook', why: 'your git configuration runs it' };
}

function byName(change: Change, contents: Contents | undefined): Risk | null {
  const { path } = change;
  const lower = path.toLowerCase();
  const tries = isSymlink(change) || isGitlink(change) ? ['', ...insides] : [''];
  const row = riskTable.find(([pattern]) => tries.some((inside) => pattern.test(lower + inside)));
  if (row) return { path, kind: row[1], why: row[2] };
  if (!needsContent(path)) return null;
  const before = executedParts(contents?.before ?? null);
  const after = executedParts(contents?.after ?? null);
  if (after !== 'unknown' && before === after) return null;
  return { path, kind: 'package', why: 'its scripts changed: npm runs them on install, test and build' };
}

/** The parts of a package.json that name commands, in one comparable text. */
function executedParts(text: string | null): string {
  if (text === null) return 'unknown';
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json !== 'object' || json === null) return 'unknown';
    const { scripts, bin, packageManager, husky, gypfile } = json as Record<string, unknown>;
    const rest = json as Record<string, unknown>;
    return sorted({
      scripts,
      bin,
      packageManager,
      husky,
      gypfile,
      staged: rest['lint-staged'],
      hooks: rest['simple-git-hooks'],
    });
  } catch {
    return 'unknown';
  }
}

function sorted(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

function capped(all: readonly Risk[]): Risk[] {
  const counts = new Map<RiskKind, number>();
  const kept = all.filter(({ kind }) => {
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    return count <= PER_KIND;
  });
  const more = [...counts].filter(([, count]) => count > PER_KIND);
  return [
    ...kept,
    ...more.map(
      ([kind, count]): Risk => ({ path: '…', kind, why: `and ${count - PER_KIND} more of this kind` }),
    ),
  ];
}
