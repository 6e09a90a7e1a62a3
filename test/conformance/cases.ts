// Builds that other implementations are tested with, as facts: a Dockerfile, the files of its context, and what Docker made
// of it. From containers/buildah, tests/conformance (Apache-2.0); cases.jsonl names the commit and how it was made.

import { chmodSync, lutimesSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface CaseFile {
  /** With a slash at its end: a folder. */
  path: string;
  mode: string;
  text?: string;
  base64?: string;
  /** Of a symlink. */
  to?: string;
}

export interface Case {
  name: string;
  /** In the context. */
  dockerfile: string;
  args: Record<string, string>;
  files: CaseFile[];
  expected: Expected;
}

export type Expected =
  | {
      /** Lines of `listing.ts` that the image has and the base has not, and the other way round. */
      tree: string[];
      gone: string[];
      /** The `config` of the image, without what is empty. */
      config: Record<string, unknown>;
    }
  /** `line` null: Docker names none. */
  | { failsAt: number | null };

export interface Cases {
  source: string;
  made: string;
  cases: Case[];
  /** Cases that Docker could not build here, and why they are not counted. */
  leftOut: { name: string; why: string }[];
}

/** What every file of a context was last changed at. */
export const CONTEXT_TIME = 1_485_449_953;
export const BASE_NAMES = /^(?:mirror\.gcr\.io|quay\.io\/libpod|quay\.io\/fedora)\//;

const FILE = new URL('cases.jsonl', import.meta.url);

type Line = Pick<Cases, 'source' | 'made'> | { leftOut: Cases['leftOut'][number] } | { case: Case };

export function readCases(): Cases {
  const all: Cases = { source: '', made: '', cases: [], leftOut: [] };
  for (const text of readFileSync(FILE, 'utf8').trim().split('\n')) {
    const line = JSON.parse(text) as Line;
    if ('case' in line) all.cases.push(line.case);
    else if ('leftOut' in line) all.leftOut.push(line.leftOut);
    else Object.assign(all, line);
  }
  return all;
}

export function writeCases({ source, made, cases, leftOut }: Cases): void {
  const lines: Line[] = [
    { source, made },
    ...leftOut.map((each) => ({ leftOut: each })),
    ...cases.map((each) => ({ case: each })),
  ];
  writeFileSync(FILE, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
}

export function writeContext(folder: string, files: readonly CaseFile[]): void {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
  const folders = files.filter(({ path }) => path.endsWith('/'));
  for (const { path } of folders) mkdirSync(join(folder, path), { recursive: true });
  for (const { path, mode, text, base64, to } of files) {
    if (path.endsWith('/')) continue;
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    if (to !== undefined) symlinkSync(to, file);
    else {
      writeFileSync(file, text ?? Buffer.from(base64 ?? '', 'base64'));
      chmodSync(file, Number.parseInt(mode, 8));
    }
    lutimesSync(file, CONTEXT_TIME, CONTEXT_TIME);
  }
  for (const { path, mode } of folders.reverse()) {
    chmodSync(join(folder, path), Number.parseInt(mode, 8));
    lutimesSync(join(folder, path), CONTEXT_TIME, CONTEXT_TIME);
  }
  lutimesSync(folder, CONTEXT_TIME, CONTEXT_TIME);
}
