// The templates of the store: found, or built once however many ask at the same time.

import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Image } from '../image/index.ts';
import { buildTemplate, type TemplateRequest } from '../machine/build-template.ts';
import type { Accelerator } from '../machine/driver.ts';
import type { Machine } from '../machine/machine.ts';
import {
  hardwareDigest,
  listTemplates,
  openTemplate,
  TEMPLATE_RECIPE,
  type Template,
  type TemplateKey,
  templateDigest,
} from '../machine/template.ts';
import { warmUp } from '../machine/warm-up.ts';
import type { TemplateView } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import { Images } from './images.ts';
import type { OnProgress, Rooms } from './rooms.ts';
import { SharedWork } from './shared-work.ts';
import { viewOf, viewOfDamaged } from './template-view.ts';

export interface Size {
  cpus: number;
  memoryMib: number;
  diskGib: number;
}

type Inputs = Pick<
  TemplateRequest,
  'id' | 'key' | 'from' | 'kernel' | 'layers' | 'settings' | 'accelerator'
> & {
  /** Runs in the machine before it is frozen; answers what the template's record shall say of it. */
  work(machine: Machine, onProgress: OnProgress, signal: AbortSignal): Promise<unknown>;
};

export class Templates {
  readonly images: Images;
  readonly #rooms: Rooms;
  readonly #building = new SharedWork<Template>();
  readonly #open = new Map<string, Template>();
  readonly #removing = new Set<string>();

  constructor(rooms: Rooms) {
    this.#rooms = rooms;
    this.images = new Images(rooms);
  }

  /** The template of an image and a size, built when there is none. Whoever cancels last cancels the build. */
  async ensure(
    image: Image,
    size: Size,
    onProgress: OnProgress,
    signal?: AbortSignal,
  ): Promise<{ template: Template; accelerator: Accelerator }> {
    const rooms = this.#rooms;
    const found = await rooms.found();
    const kernel = await rooms.kernel(onProgress, signal);
    const accelerator = await rooms.accelerator(kernel);
    const { cpus, memoryMib, diskGib } = size;
    const key: TemplateKey = {
      imageId: image.id,
      kernelDigest: kernel.digest,
      vmm: `${rooms.driver.name} ${found.version}`,
      accelerator: accelerator.kind,
      hardware: hardwareDigest(rooms.driver, found, { ...size, accelerator }, image.layers),
      cpus,
      memoryMib,
      diskGib,
      recipe: TEMPLATE_RECIPE,
    };
    const { vmlinuz, initramfs } = kernel;
    const template = await this.#findOrBuild(
      {
        id: 'template',
        key,
        from: null,
        kernel: { vmlinuz, initramfs },
        layers: image.layers,
        settings: image.config,
        accelerator,
        work: async (machine, tell) => {
          tell({ step: 'template: warming up' });
          await warmUp(await machine.link());
          return undefined;
        },
      },
      onProgress,
      signal,
    );
    return { template, accelerator };
  }

  /** A template that goes on from another one; `preparation` identifies what `work` does in it. */
  async derive(
    from: { template: Template; accelerator: Accelerator },
    derived: { id: string; preparation: string; work: Inputs['work'] },
    onProgress: OnProgress,
    signal?: AbortSignal,
  ): Promise<Template> {
    const { template, accelerator } = from;
    const { key, kernel, layers, settings } = template.record;
    return await this.#findOrBuild(
      {
        id: derived.id,
        key: { ...key, preparation: derived.preparation },
        from: template,
        kernel,
        layers,
        settings: settings ?? { user: 'user', workdir: '/', env: {} },
        accelerator,
        work: derived.work,
      },
      onProgress,
      signal,
    );
  }

  async get(id: string): Promise<Template> {
    if (this.#removing.has(id)) throw notFound(id);
    const known = this.#open.get(id);
    if (known && (await stat(known.files.record).catch(() => undefined))) return known;
    const template = await openTemplate(join(this.#rooms.storeFolders.templates, id));
    this.#open.set(id, template);
    return template;
  }

  /** The record's time of change says it; nothing in the files changes. */
  async markUsed({ files }: Template): Promise<void> {
    const now = new Date();
    await utimes(files.record, now, now).catch(() => {});
  }

  async list(usedBy: (id: string) => string[]): Promise<TemplateView[]> {
    const damaged: TemplateView[] = [];
    const templates = await listTemplates(this.#rooms.storeFolders.templates, (id, error) => {
      damaged.push(viewOfDamaged(id, error.message, usedBy(id)));
    });
    const views = await Promise.all(templates.map((template) => viewOf(template, usedBy(template.id))));
    return [...views.filter((view) => view !== undefined), ...damaged];
  }

  /** From the call on nobody finds it; whoever has found it before looks again when its own record names it. */
  async remove(id: string): Promise<void> {
    const folder = join(this.#rooms.storeFolders.templates, id);
    this.#removing.add(id);
    this.#open.delete(id);
    try {
      if (!/^[0-9a-f]{16}\.[0-9a-f]{8}$/.test(id) || !(await stat(folder).catch(() => undefined)))
        throw notFound(id);
      await rm(folder, { recursive: true, force: true });
    } finally {
      this.#removing.delete(id);
    }
  }

  async #findOrBuild(inputs: Inputs, onProgress: OnProgress, signal?: AbortSignal): Promise<Template> {
    const digest = templateDigest(inputs.key);
    const found = await this.#find(digest);
    if (found) await this.markUsed(found);
    return (
      found ??
      (await this.#building.do(
        digest,
        (tell, either) => this.#build(inputs, tell, either),
        onProgress,
        signal,
      ))
    );
  }

  async #find(digest: string): Promise<Template | undefined> {
    const names = await readdir(this.#rooms.storeFolders.templates).catch(() => []);
    for (const name of names.sort()) {
      if (!name.startsWith(`${digest}.`)) continue;
      // A damaged one stays for `template ls` to show; a new one is built beside it.
      const template = await this.#whole(name);
      if (template) return template;
    }
    return undefined;
  }

  async #whole(id: string): Promise<Template | undefined> {
    this.#open.delete(id);
    return await this.get(id).catch(() => undefined);
  }

  async #build(inputs: Inputs, onProgress: OnProgress, signal: AbortSignal): Promise<Template> {
    const rooms = this.#rooms;
    const { work, ...rest } = inputs;
    return await buildTemplate({
      ...rest,
      driver: rooms.driver,
      found: await rooms.found(),
      box: await rooms.box(inputs.id),
      clock: await rooms.clock(),
      work: async (machine) => await work(machine, onProgress, signal),
      folder: rooms.storeFolders.templates,
      logFile: rooms.storeFolders.templateLog,
      signal,
      onProgress: (step) => onProgress({ step: `template: ${step}` }),
    });
  }
}

function notFound(id: string): WarrenError {
  return new WarrenError({
    code: 'template.not-found',
    message: `there is no template "${id}"`,
    remedy: 'warren template ls',
  });
}
