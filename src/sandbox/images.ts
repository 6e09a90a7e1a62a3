// Environments → images: pulled, opened, built, or the built-in one.

import type { Environment } from '../environment/index.ts';
import { ensureImage, type Image } from '../image/index.ts';
import type { Builds, WantedBuild } from './build/builds.ts';
import type { OnProgress, Rooms } from './rooms.ts';
import { userSettings } from './settings.ts';

/** An environment, and what belongs to making it into an image. */
export type Wanted = Omit<WantedBuild, 'environment'> & { environment: Environment };

export class Images {
  readonly #rooms: Rooms;
  #builds: Promise<Builds> | undefined;
  #default: Promise<Image> | undefined;
  #making = 0;
  #begun = 0;

  constructor(rooms: Rooms) {
    this.#rooms = rooms;
  }

  async ensure(wanted: Wanted, onProgress: OnProgress, signal?: AbortSignal): Promise<Image> {
    const { environment } = wanted;
    if (environment.kind === 'dockerfile')
      return await this.counted(
        this.#builder().then((builds) => builds.ensure({ ...wanted, environment }, onProgress, signal)),
      );
    const { registries } = await userSettings();
    const ensure = () =>
      this.counted(
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

  /** Loaded with the first build: a daemon that builds nothing need not hold it. */
  #builder(): Promise<Builds> {
    this.#builds ??= import('./build/builds.ts').then(({ Builds }) => new Builds(this.#rooms));
    return this.#builds;
  }

  /** Whoever removes asks before each thing: is the store still as it was now, with nothing being made that needs it? */
  watch(): () => boolean {
    const wasQuiet = this.#making === 0;
    const begun = this.#begun;
    return () => wasQuiet && this.#begun === begun;
  }

  /** They may have been pruned: look again at the next use. */
  forget(): void {
    this.#default = undefined;
  }

  /** While it goes on nothing of the store but templates and downloads is taken for unused. */
  async counted<T>(making: Promise<T>): Promise<T> {
    this.#making++;
    this.#begun++;
    try {
      return await making;
    } finally {
      this.#making--;
    }
  }
}
