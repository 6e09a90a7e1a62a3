// What registries and layouts say of an image, as the OCI image specification and Docker's schema 2 have it: parsed,
// and the one for this computer chosen. Pure. Foreign bytes: sizes are limited before they come here, digests are
// checked by whoever fetched them.

import * as v from 'valibot';
import { WarrenError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';

export const INDEX_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];
export const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

const digest = v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/, 'not a sha256 digest'));
const descriptor = v.object({
  mediaType: v.optional(v.pipe(v.string(), v.maxLength(255)), ''),
  digest,
  size: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(limits.imageLayerBytes)),
});
const platform = v.object({
  os: v.optional(v.string(), ''),
  architecture: v.optional(v.string(), ''),
  variant: v.optional(v.string(), ''),
});
const indexSchema = v.object({
  manifests: v.pipe(
    v.array(
      v.object({
        ...descriptor.entries,
        platform: v.optional(platform),
        annotations: v.optional(v.record(v.string(), v.string())),
      }),
    ),
    v.maxLength(1000),
  ),
});
const manifestSchema = v.object({
  config: descriptor,
  layers: v.pipe(v.array(descriptor), v.maxLength(limits.imageLayers)),
});
const text = v.pipe(v.string(), v.maxLength(4096));
const configSchema = v.object({
  os: v.optional(v.string(), 'linux'),
  architecture: v.optional(v.string(), ''),
  config: v.nullish(
    v.looseObject({
      User: v.nullish(v.pipe(v.string(), v.regex(/^[^\s:\0]{0,255}(?::[^\s:\0]{1,255})?$/, 'not a user'))),
      Env: v.nullish(v.pipe(v.array(v.pipe(v.string(), v.maxLength(131_072))), v.maxLength(10_000))),
      WorkingDir: v.nullish(text),
    }),
  ),
  rootfs: v.object({ diff_ids: v.pipe(v.array(digest), v.maxLength(limits.imageLayers)) }),
});

export const METADATA_LABEL = 'devcontainer.metadata';

export type Descriptor = v.InferOutput<typeof descriptor>;
export type Index = v.InferOutput<typeof indexSchema>;
export type Manifest = v.InferOutput<typeof manifestSchema>;

/** What an image says of the programs that run in it. */
export interface ImageSettings {
  /** As the image has it: a name or a number, and perhaps `:GROUP`. */
  user: string;
  /** Absolute in the guest. */
  workdir: string;
  env: Record<string, string>;
  /** Its label `devcontainer.metadata`, as it is. */
  metadata?: string;
}

export interface ImageConfig {
  settings: ImageSettings;
  /** The `config` of the image as it is, checked only as far as `settings` are; null: it has none. */
  raw: unknown;
  os: string;
  architecture: string;
  /** Of each layer's tar, not compressed; lowest first. */
  diffIds: string[];
}

/** An index, or a manifest. What is neither is `image.bad-manifest`. */
export function parseManifest(bytes: Buffer, mediaType: string): { index: Index } | { manifest: Manifest } {
  const value = parseJson(bytes, 'manifest') as {
    mediaType?: unknown;
    manifests?: unknown;
    schemaVersion?: unknown;
  } | null;
  const type = typeof value?.mediaType === 'string' ? value.mediaType : mediaType;
  if (value?.schemaVersion === 1)
    throw bad('manifest', 'it is of the old schema 1, which registries gave up: push the image anew');
  if (INDEX_TYPES.includes(type) || (!MANIFEST_TYPES.includes(type) && Array.isArray(value?.manifests)))
    return { index: check(indexSchema, value, 'index') };
  return { manifest: check(manifestSchema, value, 'manifest') };
}

export function parseConfig(bytes: Buffer): ImageConfig {
  const { os, architecture, config, rootfs } = check(
    configSchema,
    parseJson(bytes, 'configuration'),
    'configuration',
  );
  const { User, WorkingDir, Env } = config ?? {};
  if (WorkingDir?.includes('\0')) throw bad('configuration', 'its WorkingDir has a NUL');
  return {
    os,
    architecture,
    diffIds: rootfs.diff_ids,
    raw: config ?? null,
    settings: settingsOf({
      User: User ?? '',
      WorkingDir: WorkingDir ?? '',
      Env: Env ?? [],
      Labels: config?.['Labels'],
    }),
  };
}

/** What the configuration of an image means for the programs that run in it. */
export function settingsOf(config: {
  User: string;
  WorkingDir: string;
  Env: readonly string[];
  Labels?: unknown;
}): ImageSettings {
  const workdir = config.WorkingDir || '/';
  const metadata = (config.Labels as Record<string, unknown> | null | undefined)?.[METADATA_LABEL];
  return {
    user: config.User || 'root',
    workdir: workdir.startsWith('/') ? workdir : `/${workdir}`,
    env: Object.fromEntries(config.Env.flatMap(parseVariable)),
    ...(typeof metadata === 'string' && { metadata }),
  };
}

function parseVariable(pair: string): [string, string][] {
  const equals = pair.indexOf('=');
  return equals <= 0 || pair.includes('\0') ? [] : [[pair.slice(0, equals), pair.slice(equals + 1)]];
}

/** OCI's name of this computer's architecture. */
export function ownArchitecture(arch: string = process.arch): string {
  return arch === 'x64' ? 'amd64' : arch;
}

/** The first manifest for Linux on `architecture`; attestations and other systems are passed over. */
export function choosePlatform({ manifests }: Index, architecture: string): Descriptor {
  const fits = manifests.filter(
    ({ platform: of, annotations }) =>
      (of === undefined ||
        (of.os === 'linux' && of.architecture === architecture && ['', 'v8'].includes(of.variant))) &&
      annotations?.['vnd.docker.reference.type'] === undefined,
  );
  const exact = fits.find(({ platform: of }) => of !== undefined) ?? fits[0];
  if (exact) return exact;
  const has = [...new Set(manifests.map(({ platform: of }) => `${of?.os}/${of?.architecture}`))].slice(0, 20);
  throw new WarrenError({
    code: 'image.no-platform',
    message: `the image is not made for linux/${architecture}: it has ${has.join(', ').replace(/[^\w/, .-]/g, '?') || 'nothing'}`,
    remedy: 'use an image for this computer',
  });
}

function parseJson(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw bad(what, 'it is not JSON', cause);
  }
}

function check<S extends v.GenericSchema>(schema: S, value: unknown, what: string): v.InferOutput<S> {
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  const issue = parsed.issues[0];
  throw bad(what, `${v.getDotPath(issue) ?? 'it'}: ${issue.message.slice(0, 200)}`);
}

function bad(what: string, why: string, cause?: unknown): WarrenError {
  return new WarrenError(
    { code: 'image.bad-manifest', message: `cannot use the ${what} of the image: ${why}` },
    { cause },
  );
}
