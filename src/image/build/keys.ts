// What a step's result is known by. Pure: a key is a digest of everything that decides the result, so equal keys are
// equal layers, on this computer and any other.

import { createHash } from 'node:crypto';

/** Raised when the same step gives another layer. */
const RECIPE = 2;

export function baseKey(layers: readonly { diffId: string }[]): string {
  return digest(['base', ...layers.map(({ diffId }) => diffId)]);
}

/** `sources`: keys of what the step takes files from, in the order of `sourcesOf(step)`. */
export function stepKey(parent: string, cacheText: string, sources: readonly string[]): string {
  return digest(['step', parent, cacheText, ...sources]);
}

function digest(words: readonly string[]): string {
  return createHash('sha256')
    .update(JSON.stringify([RECIPE, ...words]))
    .digest('hex');
}
