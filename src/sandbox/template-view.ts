// Templates as people and programs see them.

import { stat } from 'node:fs/promises';
import { templateFiles } from '../host/layout.ts';
import type { Template } from '../machine/template.ts';
import type { TemplateView } from '../protocol/api.ts';
import { preparedOf } from './prepare/preparation.ts';

const BLOCK_BYTES = 512;

/** undefined: it has just been removed. */
export async function viewOf(template: Template, usedBy: string[]): Promise<TemplateView | undefined> {
  const { key, createdAt, buildMs, bootMs, kernel } = template.record;
  const last = await stat(template.files.record).catch(() => undefined);
  if (!last) return undefined;
  let bytes = 0;
  for (const file of Object.values(templateFiles(template.files.folder))) {
    const found = await stat(file).catch(() => undefined);
    if (found?.isFile()) bytes += found.blocks * BLOCK_BYTES;
  }
  const { cpus, memoryMib, diskGib } = key;
  return {
    id: template.id,
    createdAt,
    usedAt: last.mtime.toISOString(),
    cpus,
    memoryMib,
    diskGib,
    kernel: kernel.vmlinuz,
    image: key.imageId,
    sizeMib: Math.round(bytes / 1024 ** 2),
    buildMs,
    bootMs,
    usedBy,
    preparedFor: preparedOf(template.record)?.root ?? null,
    damaged: null,
  };
}

/** Of one whose record or files are not what they should be: `why` is all that is known. */
export function viewOfDamaged(id: string, why: string, usedBy: string[]): TemplateView {
  return {
    id,
    createdAt: '',
    usedAt: '',
    cpus: 0,
    memoryMib: 0,
    diskGib: 0,
    kernel: '',
    image: '',
    sizeMib: 0,
    buildMs: 0,
    bootMs: 0,
    usedBy,
    preparedFor: null,
    damaged: why,
  };
}
