// Paths in an image, cleaned as Go's `path` does it: BuildKit's results are compared with ours character by character.

/** The shortest name: without `.`, inner `..`, double and trailing slashes; '' is `.`. */
export function cleanPath(path: string): string {
  if (path === '') return '.';
  const rooted = path.startsWith('/');
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (!rooted) parts.push('..');
  }
  return (rooted ? '/' : '') + parts.join('/') || (rooted ? '/' : '.');
}

export function joinPath(...parts: string[]): string {
  const full = parts.filter((part) => part !== '').join('/');
  return full === '' ? '' : cleanPath(full);
}

export function isAbsolutePath(path: string): boolean {
  return path.startsWith('/');
}

/** The last part; `/` of the root. */
export function basePath(path: string): string {
  if (path === '') return '.';
  const trimmed = path.replace(/\/+$/, '');
  return trimmed === '' ? '/' : trimmed.slice(trimmed.lastIndexOf('/') + 1);
}

/** As BuildKit has it: an absolute path stays as written, a relative one is joined to `parent` and cleaned. */
export function resolvePath(parent: string, path: string): string {
  const base = isAbsolutePath(parent) ? parent : joinPath('/', parent);
  if (path === '') return base;
  return isAbsolutePath(path) ? path : joinPath(base, path);
}

/** Where COPY puts things: absolute and clean, with a slash at its end when it names a folder for sure. */
export function resolveDestination(workdir: string, dest: string): string {
  const written = dest === '' || dest === '.' ? './' : dest;
  const clean = cleanPath(resolvePath(workdir || '/', written));
  const isFolder = /(?:^|\/)\.?$/.test(written);
  return isFolder && clean !== '/' ? `${clean}/` : clean;
}
