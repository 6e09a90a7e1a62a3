// What the user's settings say of downloads that doors keep.

import { DEFAULT_MAX_BYTES } from '../../egress/cache/cache.ts';
import type { DownloadSettings } from '../../egress/door/messages.ts';
import { type FileSettings, userSettings } from '../settings.ts';

/** Null when nothing is to be kept, also when the settings cannot be read: `up` tells why. */
export async function downloadSettings(folder: string): Promise<DownloadSettings | null> {
  const settings = await userSettings().catch((): FileSettings => ({ downloads: { keep: false } }));
  const { keep = true, maxGib, registries = {} } = settings.downloads ?? {};
  if (!keep) return null;
  return { folder, maxBytes: maxGib === undefined ? DEFAULT_MAX_BYTES : maxGib * 1024 ** 3, registries };
}
