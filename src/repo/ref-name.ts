// Names that we build: the ref that a hand-back lands on, and a folder's name in a guest. A guest's branch
// name is never passed on as it is: git itself accepts a branch called `--upload-pack=x` or one with bidi marks.

import { WarrenError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';
import { sanitizeLine } from '../protocol/sanitize.ts';

const BRANCH_MAX_CHARS = 200;
const sandboxName = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
const branchPart = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;

/** `refs/warren/<sandbox>/`, the only place that a hand-back writes to. */
export function refFolder(sandbox: string): string {
  if (sandbox.length > limits.nameMaxChars || !sandboxName.test(sandbox)) {
    throw refused('sandbox', sandbox, 'use lower-case letters, digits and hyphens');
  }
  return `refs/warren/${sandbox}/`;
}

export function handbackRef(sandbox: string, branch: string): string {
  const parts = branch.split('/');
  const good =
    branch.length <= BRANCH_MAX_CHARS &&
    branch !== 'HEAD' &&
    parts[0] !== 'refs' &&
    parts.every((part) => branchPart.test(part) && !part.includes('..') && !/(\.lock|\.)$/i.test(part));
  if (!good) throw refused('branch', branch, 'rename the branch in the sandbox: git branch -m NAME');
  return `${refFolder(sandbox)}${branch}`;
}

export function isObjectId(text: string, objectFormat: 'sha1' | 'sha256'): boolean {
  return (
    text.length === (objectFormat === 'sha1' ? 40 : 64) && /^[0-9a-f]+$/.test(text) && !/^0+$/.test(text)
  );
}

/** The name of a folder as one path part of plain letters. */
export function safeBasename(name: string): string {
  const plain = name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[.-]+|[.-]+$/g, '')
    .slice(0, 64);
  return plain || 'repo';
}

function refused(what: string, name: string, remedy: string): WarrenError {
  return new WarrenError({
    code: 'repo.bad-ref-name',
    message: `cannot receive into ${what} "${sanitizeLine(name, 80)}": the name is not allowed`,
    remedy,
  });
}
