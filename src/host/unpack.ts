// Writes what a guest sent into a new place, and nowhere else: files and folders only, into a fresh private
// folder that nobody else writes, renamed to its target at the end. The names, sizes and types are hostile.

import { constants } from 'node:fs';
import { chmod, lstat, mkdir, open, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { WarrenError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';
import { temporaryBeside } from './atomic-file.ts';

export interface UnpackReport {
  files: number;
  bytes: number;
  skipped: { path: string; why: string }[];
}

export interface EntryHeader {
  name: string;
  type?: string | null | undefined;
  size?: number | undefined;
  mode?: number | undefined;
  linkname?: string | null | undefined;
}

const SKIPPED_KEPT = 1000;

export class Unpacker {
  readonly #target: string;
  readonly #folder: string;
  readonly #report: UnpackReport = { files: 0, bytes: 0, skipped: [] };
  readonly #links: { path: string; to: string }[] = [];
  /** Names as a file system without case or composition would see them. */
  readonly #seen = new Set<string>();
  #entries = 0;

  private constructor(target: string, folder: string) {
    this.#target = target;
    this.#folder = folder;
  }

  static async open(target: string): Promise<Unpacker> {
    if (await lstat(target).catch(() => undefined)) {
      throw new WarrenError({
        code: 'files.target-exists',
        message: `cannot copy to ${target}: it is there already`,
        remedy: 'name a new place, or remove it first',
      });
    }
    const folder = temporaryBeside(target);
    await mkdir(folder, { mode: 0o700 }).catch((cause: unknown) => {
      throw new WarrenError(
        { code: 'files.no-target', message: `cannot copy to ${target}: ${(cause as Error).message}` },
        { cause },
      );
    });
    return new Unpacker(target, folder);
  }

  async add(header: EntryHeader, content: Readable): Promise<void> {
    if (++this.#entries > limits.copyOutFiles) throw tooLarge(`more than ${limits.copyOutFiles} entries`);
    const checked = checkName(header.name);
    const why = 'why' in checked ? checked.why : this.#twin(checked.parts);
    if (why !== undefined || 'why' in checked) {
      this.#skip(header.name, why ?? 'its name');
      content.resume();
      await ended(content);
      return;
    }
    const path = join(this.#folder, ...checked.parts);
    if (header.type === 'file' || header.type === 'contiguous-file') await this.#file(path, header, content);
    else {
      content.resume();
      await ended(content);
      if (header.type === 'directory') await mkdir(path, { recursive: true, mode: 0o755 });
      else if (header.type === 'symlink')
        this.#links.push({ path: checked.parts.join('/'), to: header.linkname ?? '' });
      else this.#skip(header.name, `it is a ${header.type ?? 'thing of unknown type'}`);
    }
  }

  /** Links last, and only those that stay inside; then all of it takes its place. */
  async finish(): Promise<UnpackReport> {
    for (const { path, to } of this.#links) {
      if (!staysInside(path, to)) this.#skip(path, 'it is a link that leads outside');
      else {
        const place = join(this.#folder, path);
        await mkdir(dirname(place), { recursive: true, mode: 0o755 });
        await symlink(to, place).catch((error: Error) => this.#skip(path, error.message));
      }
    }
    // The archive holds one thing, named as in the guest; it gets the name of the target.
    const { readdir } = await import('node:fs/promises');
    const [only, ...others] = await readdir(this.#folder);
    if (only === undefined || others.length > 0) {
      const first = this.#report.skipped[0];
      throw new WarrenError({
        code: 'files.nothing',
        message: `cannot copy: ${first ? `${JSON.stringify(first.path)} was left out: ${first.why}` : 'the archive does not hold one file or folder'}`,
      });
    }
    await rename(join(this.#folder, only), this.#target);
    await rm(this.#folder, { recursive: true, force: true });
    return this.#report;
  }

  async abandon(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #file(path: string, header: EntryHeader, content: Readable): Promise<void> {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const file = await open(path, flags, 0o600);
    try {
      for await (const chunk of content as AsyncIterable<Buffer>) {
        this.#report.bytes += chunk.length;
        if (this.#report.bytes > limits.copyOutBytes)
          throw tooLarge(`more than ${limits.copyOutBytes} bytes`);
        await file.write(chunk);
      }
    } finally {
      await file.close();
    }
    await chmod(path, ((header.mode ?? 0) & 0o111) !== 0 ? 0o755 : 0o644);
    this.#report.files++;
  }

  #twin(parts: string[]): string | undefined {
    const folded = parts.join('/').normalize('NFC').toLowerCase();
    if (this.#seen.has(folded)) return 'another entry has that name, or one that differs in case only';
    this.#seen.add(folded);
    return undefined;
  }

  #skip(path: string, why: string): void {
    if (this.#report.skipped.length < SKIPPED_KEPT)
      this.#report.skipped.push({ path: path.slice(0, limits.copyPathBytes), why });
  }
}

/** Pure: the parts of a relative name, or why it may not be used. */
export function checkName(name: string): { parts: string[] } | { why: string } {
  if (Buffer.byteLength(name) > limits.copyPathBytes)
    return { why: `its name is longer than ${limits.copyPathBytes} bytes` };
  if (name.startsWith('/')) return { why: 'its name is absolute' };
  const parts = name
    .replace(/\/+$/, '')
    .split('/')
    .filter((part) => part !== '.');
  if (parts.length > limits.copyDepth) return { why: `it is deeper than ${limits.copyDepth} folders` };
  for (const part of parts) {
    if (part === '' || part === '..') return { why: 'its name leads elsewhere' };
    if (/[\u0000-\u001f\u007f\\]|\ufffd/.test(part))
      return { why: 'its name holds control bytes, a backslash or bytes that are no text' };
    if (part.startsWith('-') || /[ .]$/.test(part))
      return { why: 'its name starts with a hyphen or ends with a space or dot' };
    if (/^[A-Za-z]:/.test(part)) return { why: 'its name looks like a drive' };
  }
  return parts.length === 0 ? { why: 'it has no name' } : { parts };
}

/** Pure: whether a link at `path` to `to` ends inside the archive's one folder. */
export function staysInside(path: string, to: string): boolean {
  if (to === '' || to.startsWith('/') || /[\u0000\\]/.test(to)) return false;
  const at = path.split('/').slice(0, -1);
  for (const part of to.split('/')) {
    if (part === '..') {
      if (at.length <= 1) return false;
      at.pop();
    } else if (part !== '' && part !== '.') at.push(part);
  }
  return at.length >= 1;
}

async function ended(stream: Readable): Promise<void> {
  if (stream.readableEnded || stream.destroyed) return;
  await new Promise<void>((resolve) => stream.once('end', resolve).once('close', resolve));
}

function tooLarge(what: string): WarrenError {
  return new WarrenError({ code: 'files.too-large', message: `cannot copy: it holds ${what}` });
}
