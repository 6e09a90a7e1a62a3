// Environments → images: pulled, opened, built, or the built-in one.

import type { Environment } from '../environment/index.ts';
import { ensureImage, type Image } from '../image/index.ts';
import { Builds, type WantedBuild } from './build/builds.ts';
import type { OnProgress, Rooms } from './rooms.ts';
import { userSettings } from './settings.ts';

/** An environment, and what belongs to making it into an image. */
export type Wanted = Omit<WantedBuild, 'environment'> & { environment: Environment };

export class Images {
  readonly #rooms: Rooms;
  readonly #builds: Builds;
  #default: Promise<Image> | undefined;
  #making = 0;

  constructor(rooms: Rooms) {
    this.#rooms = rooms;
    this.#builds = new Builds(rooms);
  }

  async ensure(wanted: Wanted, onProgress: OnProgress, signal?: AbortSignal): Promise<Image> {
    const { environment } = wanted;
    if (environment.kind === 'dockerfile')
      return await this.#counted(this.#builds.ensure({ ...wanted, environment }, onProgress, signal));
    const { registries } = await userSettings();
    const ensure = () =>
      this.#counted(
        ensureImage({
          store: this.#rooms.store,
          environment,
          fresh: wanted.fresh === true,
          plainRegistries: registries?.plainHttp ?? [],
          onProgress,
          ...(signal && { signal }),
        }),
      );
    // The built-in one is the same for as long as this process runs; what a name stands for may change.
    if (environment.kind !== 'default') return await ensure();
    this.#default ??= ensure();
    this.#default.catch(() => {
      this.#default = undefined;
    });
    return await this.#default;
  }

  /** What is in the store and nobody needs may be needed in a moment. */
  get areMade(): boolean {
    return this.#making > 0;
  }

  /** They may have been pruned: look again at the next use. */
  forget(): void {
    this.#default = undefined;
  }

  async #counted(image: Promise<Image>): Promise<Image> {
    this.#making++;
    try {
      return await image;
    } finally {
      this.#making--;
    }
  }
}
