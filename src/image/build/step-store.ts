// Results of steps in the store: which layer a step gave, by a key of all that decides it. A record is believed as long
// as its layer is there.

import { readFile, stat } from 'node:fs/promises';
import { writeJsonAtomic } from '../../host/atomic-file.ts';
import { layerFile, stepFile } from '../../host/layout.ts';
import { ensurePrivateFolder } from '../../host/private-folder.ts';
import type { StoredLayer } from '../layer.ts';

/** `steps/KEY.json`. */
export interface StepRecord {
  version: 1;
  /** For people. */
  text: string;
  /** null: it changed nothing. */
  layer: { diffId: string; bytes: number } | null;
  at: string;
  durationMs: number;
}

export interface StepFolders {
  steps: string;
  layers: string;
}

/** undefined: it has to run. */
export async function findStep(
  key: string,
  folders: StepFolders,
): Promise<{ layer: StoredLayer | null } | undefined> {
  const text = await readFile(stepFile(folders.steps, key), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  let record: StepRecord;
  try {
    record = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (record.version !== 1) return undefined;
  if (record.layer === null) return { layer: null };
  const { diffId, bytes } = record.layer;
  const file = layerFile(folders.layers, diffId);
  const found = await stat(file).catch(() => undefined);
  return found?.size === bytes ? { layer: { diffId, bytes, file } } : undefined;
}

export async function keepStep(
  key: string,
  { text, layer, durationMs }: { text: string; layer: StoredLayer | null; durationMs: number },
  folders: StepFolders,
): Promise<void> {
  await ensurePrivateFolder(folders.steps);
  const record: StepRecord = {
    version: 1,
    text: text.slice(0, 2000),
    layer: layer && { diffId: layer.diffId, bytes: layer.bytes },
    at: new Date().toISOString(),
    durationMs: Math.round(durationMs),
  };
  await writeJsonAtomic(stepFile(folders.steps, key), record);
}
