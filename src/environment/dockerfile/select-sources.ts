// Which files a source of COPY or ADD names, and where each of them goes.

import { compilePathPattern } from './path-pattern.ts';
import { basePath, joinPath } from './paths.ts';
import { hasWildcards } from './plan-copy.ts';

/**
 * `pattern`: a `CopySource`'s path. `listing`: every path below the source, folders too, relative and without slashes at
 * its ends. What is found, in the order in which it is copied; nothing is an error only when the source is `required`.
 * Throws a `Problem`.
 */
export function selectSources(pattern: string, listing: Iterable<string>): string[] {
  const relative = pattern.replace(/^\/+/, '');
  if (relative === '') return [''];
  const matches = hasWildcards(relative) ? compilePathPattern(relative) : (path: string) => path === relative;
  return [...listing].filter(matches).sort(byFolders);
}

/** The path that a source gets. Of a folder it is what it holds that is copied, so it becomes `dest` itself. */
export function placeOf(
  dest: string,
  source: { path: string; isFolder: boolean },
  destIsFolder: boolean,
): string {
  const isInside = !source.isFolder && (destIsFolder || dest.endsWith('/'));
  const clean = joinPath('/', dest);
  return isInside ? joinPath(clean, basePath(source.path)) : clean;
}

/** As a walk goes: a folder's contents come right after it. */
function byFolders(a: string, b: string): number {
  const [left, right] = [a.split('/'), b.split('/')];
  const at = left.findIndex((part, index) => part !== right[index]);
  if (at < 0) return left.length - right.length;
  if (right[at] === undefined) return 1;
  return Buffer.compare(Buffer.from(left[at]!), Buffer.from(right[at]!));
}
