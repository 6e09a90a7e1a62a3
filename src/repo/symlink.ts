// Where a symlink of a hand-back leads, judged by its text alone: git checks out any target, also one outside
// the working tree. A target inside `.git` counts as outside.

/** `path` of the link, relative to the root. */
export function escapes(path: string, target: string): boolean {
  if (target === '' || target.startsWith('/') || target.includes('\0')) return true;
  const parts = path.split('/').slice(0, -1);
  for (const part of target.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (parts.length === 0) return true;
      parts.pop();
    } else parts.push(part);
  }
  return parts.some((part) => part.toLowerCase() === '.git');
}
