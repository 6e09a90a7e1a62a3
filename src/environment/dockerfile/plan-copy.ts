// COPY and ADD → a step: where files come from, where they go, what is done to them.

import { basePath, joinPath, resolveDestination } from './paths.ts';
import { OTHER_BUILDER, Problem, quote } from './problem.ts';
import { MAIN_CONTEXT } from './source.ts';
import { copySource } from './stage-sources.ts';
import { checkPath, type StageState } from './stage-state.ts';
import type { CopyStatement } from './statement.ts';
import type { CopySource, CopyStep } from './step.ts';
import { textOf } from './step-text.ts';
import { trim } from './whitespace.ts';

const SYMBOLIC_MODE = /^[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+(?:,[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+)*$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Throws a `Problem`. */
export function planCopy(state: StageState, statement: CopyStatement): Omit<CopyStep, 'cacheText'> {
  const { at, kind, link, parents, excludes, unpack } = statement;
  const isAdd = kind === 'add';
  const fill = (word: string): string => checkPath(state.fill(word));
  const chown = fill(statement.chown) || null;
  const chmod = modeOf(fill(statement.chmod));
  const checksum = fill(statement.checksum) || null;
  const words = statement.sources.map(fill);
  for (const word of words) refuseGit(word, isAdd);
  if (checksum !== null) checkChecksum(checksum, words);
  return {
    kind: 'copy',
    line: at.position.line,
    text: textOf(trim(at.original), (text) => state.fill(text)),
    isAdd,
    from: statement.from === null ? MAIN_CONTEXT : copySource(state.plan, statement.from),
    sources: words.filter((word) => !isUrl(word)).map((word) => sourceOf(word, parents)),
    inline: statement.inline.map((document) => inlineOf(state, document)),
    urls: words.filter(isUrl).map((url) => urlOf(url, isAdd)),
    dest: resolveDestination(state.config.WorkingDir, fill(statement.dest)),
    chown,
    chmod,
    link,
    parents,
    excludes,
    checksum,
    unpack,
  };
}

export function hasWildcards(path: string): boolean {
  return /[*?[]/.test(path.replace(/\\./gs, ''));
}

function sourceOf(word: string, parents: boolean): CopySource {
  const path = joinPath('/', word);
  const required = !hasWildcards(word);
  if (!parents) return { path, pivot: '/', required };
  const at = word.indexOf('/./');
  if (at < 0) return { path, pivot: '/', required };
  return { path, pivot: joinPath('/', word.slice(0, at)), required };
}

function inlineOf(
  state: StageState,
  { name, content, expand }: CopyStatement['inline'][number],
): { name: string; content: string } {
  if (/[/\0]|^\.{0,2}$/.test(name))
    throw new Problem(
      `the here-document ${quote(name)} becomes a file of that name: one without "/" was expected`,
    );
  // Always the backslash, whatever the file's own escape is.
  return { name, content: expand ? state.fill(content, { escape: '\\', ignoreQuotes: true }) : content };
}

function modeOf(text: string): string | null {
  if (text === '') return null;
  if (/^\d+$/.test(text)) {
    if (/^[0-7]{1,11}$/.test(text) && Number.parseInt(text, 8) <= 0o7777) return text;
  } else if (SYMBOLIC_MODE.test(text)) return text;
  throw new Problem(`--chmod has ${quote(text)}: octal digits from 0 to 7777, or u=rwX,go-w, were expected`, {
    at: '--chmod',
  });
}

function isUrl(word: string): boolean {
  return /^https?:\/\//.test(word);
}

/** BuildKit's rule: these words name repositories. */
function refuseGit(word: string, isAdd: boolean): void {
  const isGit =
    /^(?:ssh|git):\/\//i.test(word) ||
    /^[a-zA-Z0-9_-]+@[a-zA-Z0-9.-]+:/.test(word) ||
    (/^https?:\/\//i.test(word) && /\.git$/.test(word.replace(/[?#].*$/s, '')));
  if (!isGit) return;
  const remedy = isAdd ? OTHER_BUILDER : 'use ADD for repositories, with --builder docker';
  throw new Problem(
    `${isAdd ? 'ADD' : 'COPY'} has the git repository ${quote(word)}, which is not supported`,
    {
      at: word,
      remedy,
    },
  );
}

function urlOf(url: string, isAdd: boolean): { url: string; name: string } {
  if (!isAdd)
    throw new Problem(`COPY has the URL ${quote(url)}: a path was expected`, {
      at: url,
      remedy: 'use ADD for URLs',
    });
  return { url, name: fileNameOf(url) };
}

function fileNameOf(url: string): string {
  let name = '';
  try {
    name = basePath(decodeURIComponent(new URL(url).pathname));
  } catch {
    // Whoever fetches it will tell.
  }
  return /^\.{0,2}$|[/\0]/.test(name) ? '__unnamed__' : name;
}

function checkChecksum(checksum: string, words: string[]): void {
  if (words.length !== 1)
    throw new Problem(`--checksum stands with ${words.length} sources: one URL was expected`, {
      at: '--checksum',
    });
  if (!isUrl(words[0]!))
    throw new Problem(`--checksum stands with ${quote(words[0]!)}: a URL was expected`, { at: '--checksum' });
  if (!DIGEST.test(checksum))
    throw new Problem(`--checksum has ${quote(checksum)}: sha256: and 64 hex digits were expected`, {
      at: '--checksum',
    });
}
