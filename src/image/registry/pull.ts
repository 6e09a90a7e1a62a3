// An image in a registry, as contents: its manifest chosen for this computer, its configuration, its layers.

import { Readable } from 'node:stream';
import { formatReference, isLoopbackRegistry, type Reference } from '../../environment/index.ts';
import { WarrenError } from '../../protocol/error.ts';
import { limits } from '../../protocol/limits.ts';
import type { Contents, LayerSource } from '../contents.ts';
import { digestOf } from '../digest.ts';
import {
  choosePlatform,
  type Descriptor,
  INDEX_TYPES,
  MANIFEST_TYPES,
  ownArchitecture,
  parseConfig,
  parseManifest,
} from '../manifest.ts';
import { findCredentials } from './credentials.ts';
import { Registry } from './registry.ts';
import { readBody } from './request.ts';

const INDEX_DEPTH_MAX = 3;
const FOREIGN = /foreign|nondistributable/;

export interface PullOptions {
  /** Registries that are asked over plain HTTP besides those on this computer. */
  plainRegistries: readonly string[];
  signal?: AbortSignal | undefined;
}

export async function openRemote(
  reference: Reference,
  { plainRegistries, signal }: PullOptions,
): Promise<Contents> {
  const { registry: name, repository } = reference;
  const registry = new Registry({
    registry: name,
    repository,
    plain: isLoopbackRegistry(name) || plainRegistries.includes(name),
    credentials: () => findCredentials(name, repository),
    signal,
  });
  const first = reference.digest ?? reference.tag!;
  let { bytes, mediaType, digest } = await getManifest(registry, first, reference.digest);
  const top = digest;
  for (let depth = 0; ; depth++) {
    const parsed = parseManifest(bytes, mediaType);
    if ('manifest' in parsed) {
      const { config, layers } = parsed.manifest;
      const { diffIds, ...rest } = parseConfig(await getBlob(registry, config));
      if (diffIds.length !== layers.length) throw inconsistent(reference);
      return {
        digest: top,
        config: rest,
        layers: layers.map((layer, at) => sourceOf(registry, layer, diffIds[at]!)),
      };
    }
    if (depth >= INDEX_DEPTH_MAX) throw inconsistent(reference);
    const chosen = choosePlatform(parsed.index, ownArchitecture());
    ({ bytes, mediaType, digest } = await getManifest(registry, chosen.digest, chosen.digest));
  }
}

async function getManifest(registry: Registry, what: string, wanted: string | null) {
  const answer = await registry.get(`manifests/${what}`, {
    accept: [...INDEX_TYPES, ...MANIFEST_TYPES].join(', '),
  });
  const bytes = await readBody(answer, limits.imageManifestBytes);
  const digest = digestOf(bytes);
  if (wanted !== null && digest !== wanted) throw mismatch('manifest', wanted, digest);
  return { bytes, digest, mediaType: (answer.headers['content-type'] ?? '').split(';')[0]!.trim() };
}

async function getBlob(registry: Registry, { digest, size }: Descriptor): Promise<Buffer> {
  if (size > limits.imageConfigBytes)
    throw mismatch('configuration', `at most ${limits.imageConfigBytes} bytes`, `${size}`);
  const bytes = await readBody(await registry.get(`blobs/${digest}`, {}), size);
  const got = digestOf(bytes);
  if (got !== digest) throw mismatch('configuration', digest, got);
  return bytes;
}

function sourceOf(registry: Registry, { digest, size, mediaType }: Descriptor, diffId: string): LayerSource {
  return {
    diffId,
    blob: { digest, size },
    open: async (from): Promise<Readable> => {
      if (FOREIGN.test(mediaType))
        throw new WarrenError({
          code: 'image.bad-layer',
          message: 'cannot use a layer of the image: it may not be distributed by registries',
        });
      const answer = await registry.get(`blobs/${digest}`, from === 0 ? {} : { range: `bytes=${from}-` });
      if (from === 0 || answer.statusCode === 206) return answer;
      // It answers with all of it again: what is known already is passed over.
      return passOver(answer, from);
    },
  };
}

function passOver(answer: Readable, bytes: number): Readable {
  const rest = async function* () {
    let left = bytes;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      if (chunk.length > left) yield chunk.subarray(left);
      left -= Math.min(left, chunk.length);
    }
  };
  return Readable.from(rest(), { objectMode: false });
}

function inconsistent(reference: Reference): WarrenError {
  return new WarrenError({
    code: 'image.bad-manifest',
    message: `cannot use ${formatReference(reference)}: its manifest and its configuration do not fit together`,
  });
}

function mismatch(what: string, wanted: string, got: string): WarrenError {
  return new WarrenError({
    code: 'image.digest-mismatch',
    message: `cannot use the ${what} of the image: it should be ${wanted} and is ${got}`,
    remedy: 'try again; if it happens again, the registry is damaged',
  });
}
