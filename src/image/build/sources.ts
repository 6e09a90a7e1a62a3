// Where the files of a build come from: images, finished stages, contexts. Each has a key for its content; images and
// folders are opened once, however many steps name them.

import { stat } from 'node:fs/promises';
import {
  type ContextSource,
  emptyConfig,
  type ImageConfig,
  type ImageSource,
  readConfig,
} from '../../environment/dockerfile/index.ts';
import { parseReference } from '../../environment/reference.ts';
import { storeFolders } from '../../host/layout.ts';
import type { Progress } from '../../protocol/api.ts';
import { WarrenError } from '../../protocol/error.ts';
import { storedParts } from '../image.ts';
import type { StoredLayer } from '../layer.ts';
import { METADATA_LABEL, ownArchitecture } from '../manifest.ts';
import { ensureOciParts } from '../oci-image.ts';
import { BuildContext } from './context.ts';
import type { FileDigests } from './file-digests.ts';
import { baseKey } from './keys.ts';
import type { ListingRules } from './listing.ts';

export interface BaseImage {
  layers: StoredLayer[];
  config: ImageConfig;
  key: string;
}

export interface SourceOptions {
  store: string;
  /** The main context. */
  context: string;
  rules: ListingRules;
  isWithheld: (path: string) => boolean;
  /** `--build-context`: a folder, or `docker-image://REFERENCE`. */
  contexts: ReadonlyMap<string, string>;
  digests: FileDigests;
  plainRegistries: readonly string[];
  fresh: boolean;
  signal: AbortSignal;
  onProgress: (progress: Progress) => void;
}

const IMAGE_CONTEXT = 'docker-image://';
/** An image of the store, by its folder; nobody but this program names contexts so. */
export const STORED_IMAGE = 'warren-image://';
const NOTHING_IGNORED: ListingRules = { ignores: () => false, mayHoldExceptions: () => false };

export class Sources {
  readonly #options: SourceOptions;
  readonly #images = new Map<string, Promise<BaseImage>>();
  readonly #contexts = new Map<string | null, BuildContext>();

  constructor(options: SourceOptions) {
    this.#options = options;
  }

  image({
    reference,
    text,
    platform,
  }: Pick<ImageSource, 'reference' | 'text' | 'platform'>): Promise<BaseImage> {
    const own = `linux/${ownArchitecture()}`;
    if (platform !== null && platform !== own)
      throw new WarrenError({
        code: 'image.no-platform',
        message: `cannot build on ${text} for ${platform}: machines here are ${own}`,
        remedy: `leave --platform out, or let another engine build it: --builder docker`,
      });
    const known = this.#images.get(text);
    if (known) return known;
    const { store, plainRegistries, fresh, signal, onProgress } = this.#options;
    const image = ensureOciParts({
      store,
      environment: { kind: 'image', reference },
      plainRegistries,
      fresh,
      signal,
      onProgress,
    }).then(({ layers, raw }) => ({ layers, config: readConfig(raw ?? {}), key: baseKey(layers) }));
    this.#images.set(text, image);
    return image;
  }

  /** A named context that stands for an image. */
  imageOf({ name }: ContextSource): Promise<BaseImage> | undefined {
    const value = name === null ? undefined : this.#options.contexts.get(name);
    if (value?.startsWith(STORED_IMAGE)) return this.#stored(value.slice(STORED_IMAGE.length));
    if (!value?.startsWith(IMAGE_CONTEXT)) return undefined;
    const text = value.slice(IMAGE_CONTEXT.length);
    return this.image({ reference: parseReference(text), text, platform: null });
  }

  #stored(folder: string): Promise<BaseImage> {
    const known = this.#images.get(folder);
    if (known) return known;
    const { store } = this.#options;
    const image = storedParts(folder, storeFolders(store).layers).then(({ layers, settings }) => ({
      layers,
      config: {
        ...emptyConfig(),
        User: settings.user,
        WorkingDir: settings.workdir,
        Env: Object.entries(settings.env).map(([name, value]) => `${name}=${value}`),
        Labels: settings.metadata === undefined ? {} : { [METADATA_LABEL]: settings.metadata },
      },
      key: baseKey(layers),
    }));
    this.#images.set(folder, image);
    return image;
  }

  /** Throws `environment.context` when the folder is not there. */
  async folder({ name }: ContextSource): Promise<BuildContext> {
    const known = this.#contexts.get(name);
    if (known) return known;
    const { context, contexts, rules, isWithheld, digests } = this.#options;
    const folder = name === null ? context : contexts.get(name)!;
    const found = await stat(folder).catch(() => undefined);
    if (!found?.isDirectory())
      throw new WarrenError({
        code: 'environment.context',
        message: `cannot build from ${folder}${name === null ? '' : ` (build context "${name}")`}: ${found ? 'it is no folder' : 'there is nothing'}`,
        remedy: 'name a folder',
      });
    const opened = new BuildContext(folder, {
      rules: name === null ? rules : NOTHING_IGNORED,
      isWithheld: name === null ? isWithheld : () => false,
      digests,
    });
    this.#contexts.set(name, opened);
    return opened;
  }

  /** Of the main context. */
  async withheld(): Promise<string[]> {
    return (await this.#contexts.get(null)?.withheld()) ?? [];
  }
}
