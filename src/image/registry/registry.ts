// A registry as a source of images: Distribution API v2 (https://distribution.github.io/distribution/spec/api/).
// Foreign bytes: manifests are limited and their digests checked here; blobs are checked where they are stored.

import type { IncomingMessage } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { WarrenError } from '../../protocol/error.ts';
import { authorize } from './authorize.ts';
import { parseChallenge } from './challenge.ts';
import type { Credentials } from './credentials.ts';
import { ask } from './request.ts';

export interface RegistryOptions {
  /** As the user names it. */
  registry: string;
  repository: string;
  /** Plain HTTP: a registry on this computer, or one that the user's settings name. */
  plain: boolean;
  /** Asked once, and only when the registry wants to know. */
  credentials: () => Promise<Credentials | undefined>;
  signal?: AbortSignal | undefined;
}

const TRIES = 5;
const RETRY_MS = 400;
const RETRY_AFTER_MAX_S = 30;

export class Registry {
  readonly #options: RegistryOptions;
  readonly #base: URL;
  #authorization: Promise<string | undefined> | undefined;

  constructor(options: RegistryOptions) {
    this.#options = options;
    const host = options.registry === 'docker.io' ? 'registry-1.docker.io' : options.registry;
    this.#base = new URL(`${options.plain ? 'http' : 'https'}://${host}/v2/${options.repository}/`);
  }

  /** A success; throws `image.not-found`, `image.unauthorized`, `image.registry-unreachable` or `-refused`. */
  async get(path: string, headers: Record<string, string>): Promise<IncomingMessage> {
    let asked = false;
    for (let tries = 1; ; tries++) {
      const used = this.#authorization;
      let answer: IncomingMessage;
      try {
        answer = await ask({
          url: new URL(path, this.#base),
          headers,
          authorization: await used,
          plain: this.#options.plain,
          signal: this.#options.signal,
        });
      } catch (error) {
        if (error instanceof WarrenError || this.#options.signal?.aborted) throw error;
        if (tries >= TRIES) throw this.#unreachable(error as Error);
        await this.#pause(tries, undefined);
        continue;
      }
      const status = answer.statusCode ?? 0;
      if (status === 200 || status === 206) return answer;
      answer.destroy();
      if (status === 401 && !asked) {
        asked = true;
        // Several layers may be told at once that their token is too old: one asks for a new one.
        if (this.#authorization === used) this.#authorization = this.#authorize(answer);
        continue;
      }
      if ((status === 429 || status >= 500) && tries < TRIES) {
        await this.#pause(tries, answer.headers['retry-after']);
        continue;
      }
      throw this.#failed(status, path);
    }
  }

  async #authorize(answer: IncomingMessage): Promise<string | undefined> {
    const challenge = parseChallenge(answer.headers['www-authenticate']);
    if (challenge === null) throw this.#failed(401, '');
    const { repository, plain, credentials, registry, signal } = this.#options;
    return await authorize(challenge, {
      registry,
      repository,
      plain,
      signal,
      credentials: await credentials(),
    });
  }

  async #pause(tries: number, retryAfter: string | undefined): Promise<void> {
    const seconds = Number(retryAfter ?? Number.NaN);
    const waitMs = Number.isFinite(seconds)
      ? Math.min(Math.max(seconds, 0), RETRY_AFTER_MAX_S) * 1000
      : RETRY_MS * 2 ** (tries - 1);
    await setTimeout(waitMs, undefined, this.#options.signal ? { signal: this.#options.signal } : {});
  }

  #failed(status: number, path: string): WarrenError {
    const { registry, repository } = this.#options;
    const what = `${registry}/${repository}`;
    if (status === 401 || status === 403)
      return new WarrenError({
        code: 'image.unauthorized',
        message: `cannot pull ${what}: the registry refuses without other credentials (${status})`,
        remedy: `docker login ${registry} (or podman login): Warren reads what they keep`,
      });
    if (status === 404)
      return new WarrenError({
        code: 'image.not-found',
        message: `cannot pull ${what}: ${registry} has no ${path.replace('manifests/', '')} of it`,
        remedy: 'check the name and the tag',
      });
    return new WarrenError({
      code: 'image.registry-refused',
      message: `cannot pull ${what}: the registry answered ${status}`,
      remedy: 'try again later',
    });
  }

  #unreachable(cause: Error): WarrenError {
    return new WarrenError(
      {
        code: 'image.registry-unreachable',
        message: `cannot pull ${this.#options.repository}: ${cause.message}`,
        remedy: 'check the name of the registry and the network',
      },
      { cause },
    );
  }
}
