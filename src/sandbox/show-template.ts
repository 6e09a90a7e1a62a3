// `template show`: what one is made of, and who uses it. A name may be an id or its beginning, a sandbox, or what its image
// was made of.

import { stat } from 'node:fs/promises';
import { basename, dirname, normalize } from 'node:path';
import { chooseEnvironment, formatReference } from '../environment/index.ts';
import { templateFiles } from '../host/layout.ts';
import { type KnownName, knownNames } from '../image/index.ts';
import type { Template } from '../machine/template.ts';
import type { TemplateDetail, TemplateView } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import type { Conductor } from './conductor.ts';
import { preparedOf } from './prepare/preparation.ts';
import { imageOrigin, usedTemplates } from './prune/inventory.ts';

const BLOCK_BYTES = 512;
const NAMED_AT_MOST = 5;

export async function showTemplate(conductor: Conductor, wanted: string): Promise<TemplateDetail> {
  const { storeFolders } = conductor.rooms;
  const used = usedTemplates(conductor);
  const views = await conductor.templates.list((id) => used.get(id) ?? []);
  const names = await knownNames(storeFolders.references);
  const view = await find(conductor, views, names, wanted);
  // A damaged one says by its error what is wrong.
  const template = await conductor.templates.get(view.id);
  const { record, files } = template;
  const imageFolder = imageFolderOf(template);
  const prepared = preparedOf(record);
  return {
    ...view,
    folder: files.folder,
    key: { ...record.key },
    from: await imageOrigin(imageFolder),
    names: names.filter(({ image }) => image === basename(imageFolder)).map(({ name }) => name),
    imageFolder,
    layers: await Promise.all(
      record.layers.flat().map(async (file) => ({
        ...(await sized(file)),
        shared: dirname(file) === normalize(storeFolders.layers),
      })),
    ),
    files: await Promise.all(
      Object.values(templateFiles(files.folder))
        .filter((file) => file !== files.folder)
        .map(sized),
    ),
    settings: record.settings ?? null,
    prepared: prepared
      ? {
          root: prepared.root,
          commands: prepared.commands,
          head: prepared.repositories[0]?.head ?? null,
        }
      : null,
  };
}

async function sized(file: string): Promise<{ file: string; bytes: number }> {
  const found = await stat(file).catch(() => undefined);
  return { file, bytes: (found?.blocks ?? 0) * BLOCK_BYTES };
}

function imageFolderOf({ record }: Template): string {
  const [layer = ''] = record.layers.flat();
  return dirname(layer);
}

async function find(
  conductor: Conductor,
  views: readonly TemplateView[],
  names: readonly KnownName[],
  wanted: string,
): Promise<TemplateView> {
  const byId = views.filter(({ id }) => /^[0-9a-f]{4,}/.test(wanted) && id.startsWith(wanted));
  const of = conductor.find(wanted)?.record.template;
  const found =
    byId.length > 0
      ? byId
      : of !== undefined
        ? views.filter(({ id }) => id === of)
        : await ofImage(conductor, views, names, wanted);
  const [newest, another] = [...found].sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  if (newest && (!another || byId.length === 0)) return newest;
  throw new WarrenError(
    another
      ? {
          code: 'template.ambiguous',
          message: `several templates begin with ${wanted}: ${found
            .slice(0, NAMED_AT_MOST)
            .map(({ id }) => id)
            .join(', ')}`,
          remedy: `warren template show ${another.id}`,
        }
      : {
          code: 'template.not-found',
          message: `there is no template "${wanted}"`,
          remedy: 'warren template ls',
        },
  );
}

/** Several sizes of one image may be there: the newest is meant. */
async function ofImage(
  conductor: Conductor,
  views: readonly TemplateView[],
  names: readonly KnownName[],
  wanted: string,
): Promise<TemplateView[]> {
  const meant = new Set(namesOf(wanted));
  const named = names.filter(({ name, dockerfile }) => meant.has(name) || dockerfile === wanted);
  const images = new Set(named.map(({ image }) => image));
  const found: TemplateView[] = [];
  for (const view of views) {
    if (view.damaged !== null) continue;
    const folder = imageFolderOf(await conductor.templates.get(view.id));
    if (images.has(basename(folder))) found.push(view);
  }
  return found;
}

/** How the store may have it. */
function namesOf(wanted: string): string[] {
  try {
    const environment = chooseEnvironment(wanted);
    return environment.kind === 'image' ? [wanted, formatReference(environment.reference)] : [wanted];
  } catch {
    return [wanted];
  }
}
