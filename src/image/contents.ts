// What an image is made of, wherever it comes from: a registry, a folder, an archive.

import type { Readable } from 'node:stream';
import type { ImageConfig } from './manifest.ts';

export interface Contents {
  /** Digest of the manifest, or of what stands for it. */
  digest: string;
  config: Omit<ImageConfig, 'diffIds'>;
  /** Lowest first. */
  layers: LayerSource[];
}

/** Bytes that are a tar, perhaps compressed. */
export interface LayerSource {
  /** Digest of the tar, not compressed; null: nobody says. */
  diffId: string | null;
  /** Digest and size of the bytes that `open` gives; null: nobody says. */
  blob: { digest: string; size: number } | null;
  /** The bytes from an offset on. A failure while they are read may be tried again from where it happened. */
  open(from: number, signal?: AbortSignal): Promise<Readable>;
}
