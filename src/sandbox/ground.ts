// What a sandbox is restored from: the image of its environment, that image booted and frozen, and where the
// repository asks for it, that again with the repository prepared in it. Each is found, or made once.

import { stat } from 'node:fs/promises';
import { imageFiles } from '../host/layout.ts';
import type { ImageSettings } from '../image/index.ts';
import type { Accelerator } from '../machine/driver.ts';
import type { Template } from '../machine/template.ts';
import type { LayerView } from '../protocol/api.ts';
import type { Repository } from '../repo/index.ts';
import type { Conductor } from './conductor.ts';
import type { Wanted } from './images.ts';
import { type Preparation, type Prepared, preparedOf } from './prepare/preparation.ts';
import type { OnProgress } from './rooms.ts';
import type { Size } from './templates.ts';

export interface Ground {
  template: Template;
  accelerator: Accelerator;
  imageId: string;
  settings: ImageSettings;
  /** What the template holds of the repository. */
  prepared?: Prepared | undefined;
  layers: LayerView[];
}

export interface GroundRequest {
  wanted: Wanted;
  size: Size;
  preparation: Preparation | null;
  repository: Repository | null;
  carry: string[];
  /** Profiles of the door that fit. */
  profiles: string[];
}

export const GUEST_FOLDER = '/workspaces';

export async function ensureGround(
  conductor: Conductor,
  request: GroundRequest,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<Ground> {
  const { wanted, size, preparation, repository, carry, profiles } = request;
  const startedMs = Date.now();
  const { templates } = conductor;
  const image = await templates.images.ensure(wanted, onProgress, signal);
  const base = await templates.ensure(image, size, onProgress, signal);
  const wasThere = (template: Template) => Date.parse(template.record.createdAt) < startedMs;
  const layers: LayerView[] = [
    { kind: 'image', id: image.id, reused: await isOlder(imageFiles(image.folder).record, startedMs) },
    { kind: 'template', id: base.template.id, reused: wasThere(base.template) },
  ];
  const ground = { ...base, imageId: image.id, settings: image.config, layers };
  if (!repository || !preparation) return ground;
  const { prepare } = await import('./prepare/prepare.ts');
  const guestPath = `${GUEST_FOLDER}/${repository.name}`;
  const { user } = image.config;
  const template = await prepare(
    conductor,
    base,
    { preparation, repository, carry, guestPath, user, profiles },
    onProgress,
    signal,
  );
  const prepared = preparedOf(template.record);
  const at = prepared?.repositories[0]?.head ?? null;
  layers.push({ kind: 'prepared', id: template.id, reused: wasThere(template), at });
  return { ...ground, template, prepared };
}

async function isOlder(file: string, atMs: number): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  return found !== undefined && found.mtimeMs < atMs;
}
