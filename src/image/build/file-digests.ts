// Digests of a context's files, kept between builds by what the kernel says of a file: one whose size, times and inode
// are the same is not read again. What changed in the last moments before it was read is not believed, as git does it.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeFileAtomic } from '../../host/atomic-file.ts';
import type { ContextEntry } from './listing.ts';
import { pieceBytes } from './piece-bytes.ts';

/** A file that was written so shortly before it was read may have been written again within one tick of its clock. */
const RACY_NS = 2_000_000_000n;
const FILES_AT_ONCE = 8;
/** Files that the last build did not ask for. */
const OTHERS_MAX = 100_000;
const VERSION = 1;

export class FileDigests {
  readonly #file: string;
  readonly #known: Map<string, [stamp: string, digest: string]>;
  readonly #used = new Map<string, [stamp: string, digest: string]>();
  #changed = false;

  private constructor(file: string, known: Map<string, [string, string]>) {
    this.#file = file;
    this.#known = known;
  }

  /** What cannot be read is begun anew. */
  static async open(file: string): Promise<FileDigests> {
    try {
      const { version, files } = JSON.parse(await readFile(file, 'utf8'));
      if (version === VERSION) return new FileDigests(file, new Map(Object.entries(files)));
    } catch {}
    return new FileDigests(file, new Map());
  }

  /** Of files of one context; hex. */
  async of(folder: string, entries: readonly ContextEntry[]): Promise<string[]> {
    const digests: string[] = [];
    const waiting = entries.map((entry, at) => ({ entry, at }));
    const work = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift())
        digests[next.at] = await this.#digest(folder, next.entry);
    };
    await Promise.all(Array.from({ length: FILES_AT_ONCE }, work));
    return digests;
  }

  async save(): Promise<void> {
    if (!this.#changed && this.#used.size === this.#known.size) return;
    await mkdir(dirname(this.#file), { recursive: true, mode: 0o700 });
    // Another Dockerfile may use them, or they are gone for good.
    const others = [...this.#known].filter(([path]) => !this.#used.has(path)).slice(-OTHERS_MAX);
    const files = Object.fromEntries([...others, ...this.#used]);
    await writeFileAtomic(this.#file, JSON.stringify({ version: VERSION, files }));
  }

  async #digest(folder: string, entry: ContextEntry): Promise<string> {
    const path = join(folder, entry.path);
    const stamp = `${entry.inode} ${entry.size} ${entry.mtimeNs} ${entry.ctimeNs}`;
    const known = this.#known.get(path);
    if (known?.[0] === stamp) {
      this.#used.set(path, known);
      return known[1];
    }
    const beganNs = BigInt(Date.now()) * 1_000_000n;
    const hash = createHash('sha256');
    const highWaterMark = pieceBytes(entry.size, 1024 * 1024);
    for await (const chunk of createReadStream(path, { highWaterMark })) hash.update(chunk);
    const digest = hash.digest('hex');
    const changedNs = entry.mtimeNs > entry.ctimeNs ? entry.mtimeNs : entry.ctimeNs;
    if (changedNs + RACY_NS < beganNs) {
      this.#used.set(path, [stamp, digest]);
      this.#changed = true;
    }
    return digest;
  }
}
