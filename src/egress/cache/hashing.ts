// The digests of a stream of bytes, all in one pass.

import { createHash, type Hash } from 'node:crypto';
import { createBLAKE2b } from 'hash-wasm';
import type { Digests } from './proof.ts';
import type { Algorithm } from './what.ts';

export class Hashing {
  readonly #hashes: { sha256: Hash; sha512: Hash };
  readonly #blake2: Awaited<ReturnType<typeof createBLAKE2b>> | null;

  private constructor(blake2: Awaited<ReturnType<typeof createBLAKE2b>> | null) {
    this.#hashes = { sha256: createHash('sha256'), sha512: createHash('sha512') };
    this.#blake2 = blake2?.init() ?? null;
  }

  static async of(wanted: Algorithm | null): Promise<Hashing> {
    return new Hashing(wanted === 'blake2b256' ? await createBLAKE2b(256) : null);
  }

  update(bytes: Buffer): void {
    this.#hashes.sha256.update(bytes);
    this.#hashes.sha512.update(bytes);
    this.#blake2?.update(bytes);
  }

  digests(): Digests {
    return {
      sha256: this.#hashes.sha256.digest('hex'),
      sha512: this.#hashes.sha512.digest('hex'),
      blake2b256: this.#blake2?.digest('hex') ?? null,
    };
  }
}
