// Digests that indexes of registries told this door, by the address of the file. Indexes are foreign. Limits: 8 MiB
// of an index as it travels, 32 MiB unpacked, 16 MiB of them at once, 100,000 digests.

import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, zstdDecompress } from 'node:zlib';
import { Gather } from '../../protocol/gather.ts';
import type { Response } from '../http/call.ts';
import { listOf } from '../http/headers.ts';
import type { Located } from './registries.ts';
import type { Digest, Told } from './what.ts';

const MAX_INDEX_BYTES = 8 * 1024 ** 2;
const MAX_UNPACKED_BYTES = 32 * 1024 ** 2;
const MAX_HELD_BYTES = 16 * 1024 ** 2;
const MAX_DIGESTS = 100_000;

const UNPACK: Record<string, (data: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>> = {
  identity: async (data) => data,
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
};

export class ToldDigests {
  readonly #digests = new Map<string, Digest>();
  #heldBytes = 0;

  /** `url`: absolute. */
  of(url: string): Digest | null {
    return this.#digests.get(url) ?? null;
  }

  /** Reads along what passes. Resolves once it has been learned, or not. */
  async learn({ registry, what }: Located, url: string, { head, body }: Response): Promise<void> {
    const codings = listOf(head.headers, 'content-encoding');
    const unpack = UNPACK[codings[0] ?? 'identity'];
    if (what.role !== 'index' || head.status !== 200 || head.bodiless || codings.length > 1 || !unpack)
      return;
    const packed = await this.#copy(body);
    if (!packed) return;
    try {
      const text = (await unpack(packed, { maxOutputLength: MAX_UNPACKED_BYTES })).toString();
      this.#take(what.read(text), url, registry.speaksFor);
    } catch {
      // What cannot be read tells nothing.
    } finally {
      this.#heldBytes -= packed.length;
    }
  }

  async #copy(body: Response['body']): Promise<Buffer | null> {
    const all = new Gather();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const onData = (chunk: Buffer) => {
      this.#heldBytes += chunk.length;
      all.add(chunk);
      if (all.bytes > MAX_INDEX_BYTES || this.#heldBytes > MAX_HELD_BYTES) resolve(false);
    };
    body.on('data', onData);
    body.once('end', () => resolve(true));
    body.once('close', () => resolve(false));
    const whole = await promise;
    body.off('data', onData);
    if (whole) return all.take();
    this.#heldBytes -= all.bytes;
    return null;
  }

  #take(told: readonly Told[], index: string, bases: readonly string[]): void {
    for (const { url, below, digest } of told.slice(0, MAX_DIGESTS)) {
      for (const base of bases) {
        const absolute = URL.parse(url, below ? base : index)?.href;
        // An index speaks for its own registry's files only.
        if (!absolute?.startsWith(base)) continue;
        this.#digests.delete(absolute);
        this.#digests.set(absolute, digest);
      }
    }
    for (const url of this.#digests.keys()) {
      if (this.#digests.size <= MAX_DIGESTS) break;
      this.#digests.delete(url);
    }
  }
}
