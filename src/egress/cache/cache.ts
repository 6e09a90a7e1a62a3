// Downloads that never change, kept for all sandboxes of this user: who asks first has the door fetch them, all others
// get them from this disk. Only the door writes here, and only what `proof.ts` lets it. Limits: 1 GiB a file, 10 GiB in
// all unless said otherwise.

import { createHash } from 'node:crypto';
import { mkdir, readdir, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { sweepTemporary } from '../../host/atomic-file.ts';
import { downloadFiles } from '../../host/layout.ts';
import type { Considered, Download, DownloadCache, KeptAnswer } from '../http/downloads.ts';
import { answerFrom } from './answer.ts';
import { evict } from './evict.ts';
import { type KeepOutcome, keep } from './keep.ts';
import { openKept } from './kept-file.ts';
import { type Expected, isGood } from './proof.ts';
import { type Located, type OwnRegistries, Registries } from './registries.ts';
import { claimOf, HEADERS_SENT, isHarmless, isPlainGet, keyOf, originOf } from './request.ts';
import { ToldDigests } from './told.ts';

export interface CacheOptions {
  folder: string;
  maxBytes?: number;
  /** Of the user's own settings, never of a repository's. */
  registries?: OwnRegistries;
  /** PEM certificates that this door trusts besides the system's: what came by their word is for doors with the same. */
  extraCa?: readonly string[];
  nowUnixMs?: () => number;
}

export const DEFAULT_MAX_BYTES = 10 * 1024 ** 3;
/** The folder is measured anew each time that this part of the limit was written. */
const MEASURE_EVERY = 1 / 20;
const REST_AFTER_FAILURE_MS = 60_000;

/** Rejects when the folder cannot be made. */
export async function openCache(options: CacheOptions): Promise<DownloadCache> {
  const { folder } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const part of await readdir(folder)) await sweepTemporary(join(folder, part));
  return new Cache(options);
}

class Cache implements DownloadCache {
  readonly #files: ReturnType<typeof downloadFiles>;
  readonly #maxBytes: number;
  readonly #registries: Registries;
  readonly #trust: string;
  readonly #nowUnixMs: () => number;
  readonly #told = new ToldDigests();
  readonly #working = new Set<Promise<unknown>>();
  /** Since the folder was measured last; at first, nobody knows. */
  #writtenBytes = Number.POSITIVE_INFINITY;
  #evicting = false;
  #restUntilMs = 0;

  constructor({ folder, maxBytes, registries, extraCa, nowUnixMs }: CacheOptions) {
    this.#files = downloadFiles(folder);
    this.#maxBytes = maxBytes ?? DEFAULT_MAX_BYTES;
    this.#registries = new Registries(registries);
    this.#trust = extraCa?.length ? sha256([...extraCa].sort().join('\n')) : 'system';
    this.#nowUnixMs = nowUnixMs ?? Date.now;
  }

  consider(request: Considered): Download | null {
    if (!isPlainGet(request)) return null;
    const origin = originOf(request);
    const located = this.#registries.locate(origin, request.head.path);
    if (!located) return null;
    const url = origin + request.head.path;
    if (located.what.role === 'index') return request.protocol === 'https' ? this.#index(located, url) : null;
    return isHarmless(request) ? this.#file(request, located, url, located.what.named) : null;
  }

  async settled(): Promise<void> {
    while (this.#working.size > 0) await Promise.allSettled(this.#working);
  }

  #index(located: Located, url: string): Download {
    return {
      find: async () => null,
      headers: null,
      watch: (response) => {
        this.#track(this.#told.learn(located, url, response));
        return null;
      },
    };
  }

  #file(request: Considered, { registry }: Located, url: string, named: Expected['named']): Download {
    const key = keyOf(request, this.#trust);
    const path = this.#files.answer(sha256(key));
    const expected = (): Expected => ({
      secure: request.protocol === 'https',
      lasting: registry.lasting,
      named,
      claimed: named ? null : claimOf(request),
      told: this.#told.of(url),
    });
    return {
      find: () => this.#find(path, key, expected()).catch(() => null),
      headers: HEADERS_SENT,
      watch: (response) => {
        if (performance.now() < this.#restUntilMs) return null;
        const keeping = {
          path,
          key,
          expected: expected(),
          // One file must not push all others out.
          mostBytes: this.#maxBytes / 4,
          nowUnixMs: this.#nowUnixMs,
        };
        const copy = keep(response, keeping);
        if (copy) this.#track(copy.outcome.then((each) => this.#after(each)));
        return copy;
      },
    };
  }

  async #find(path: string, key: string, expected: Expected): Promise<KeptAnswer | null> {
    const opened = await openKept(path, key);
    if (opened === null) return null;
    if (opened === 'broken') {
      await rm(path, { force: true, recursive: true });
      return null;
    }
    const { record } = opened;
    let answer: KeptAnswer | null = null;
    if (isGood(record, expected, this.#nowUnixMs())) {
      const checked = await opened.verified().catch(() => null);
      if (checked) answer = answerFrom(record, checked.from);
      else await rm(path, { force: true });
      if (checked && !Buffer.isBuffer(checked.from)) return this.#used(path, answer!);
    }
    await opened.close();
    return answer && this.#used(path, answer);
  }

  async #used(path: string, answer: KeptAnswer): Promise<KeptAnswer> {
    const now = new Date();
    await utimes(path, now, now).catch(() => {});
    return answer;
  }

  async #after(outcome: KeepOutcome): Promise<void> {
    if (typeof outcome === 'string') return;
    if ('disk' in outcome) {
      this.#restUntilMs = performance.now() + REST_AFTER_FAILURE_MS;
      return;
    }
    this.#writtenBytes += outcome.kept;
    if (this.#writtenBytes < this.#maxBytes * MEASURE_EVERY || this.#evicting) return;
    this.#evicting = true;
    this.#writtenBytes = 0;
    try {
      await evict(this.#files.folder, this.#maxBytes);
    } finally {
      this.#evicting = false;
    }
  }

  #track(work: Promise<unknown>): void {
    const tracked: Promise<unknown> = work
      .catch(() => {})
      .finally(() => {
        this.#working.delete(tracked);
      });
    this.#working.add(tracked);
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
