// A template: a machine booted once, quiesced and frozen; machines are restored from it copy-on-write. Its
// files never change, so a disk that was made over one template fits that very template and no rebuilt one.

import { createHash } from 'node:crypto';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join, normalize } from 'node:path';
import { templateFiles } from '../host/layout.ts';
import { WarrenError } from '../protocol/error.ts';
import type { Accelerator, Driver, DriverFound, Layer, MachineSpec } from './driver.ts';

/** Everything that makes two templates different. Changing any of it builds a new one. */
export interface TemplateKey {
  imageId: string;
  kernelDigest: string;
  vmm: string;
  accelerator: Accelerator['kind'];
  /** Machine type, CPU model and devices: see `hardwareDigest`. */
  hardware: string;
  cpus: number;
  memoryMib: number;
  diskGib: number;
  /** Raised when the way of building changes. */
  recipe: number;
  /** Of a template that was made from another one: a digest of what was done in it. */
  preparation?: string;
}

export const TEMPLATE_RECIPE = 2;

export interface TemplateRecord {
  key: TemplateKey;
  createdAt: string;
  buildMs: number;
  /** Cold boot to the agent's answer, in the same build. */
  bootMs: number;
  kernel: { vmlinuz: string; initramfs: string };
  layers: Layer[];
  /** What its image says of the programs that run in it; missing in records of before there were images. */
  settings?: TemplateSettings;
  /** What the conductor wants to know again of a preparation; it says what it is. */
  prepared?: unknown;
  sizes: { memory: number; device: number; disk: number; overlay: number };
}

/** As the agent is told them at each start of a machine. */
export interface TemplateSettings {
  user: string;
  workdir: string;
  env: Record<string, string>;
}

export interface Template {
  /** Its folder's name: the key's digest and a random instance. Sandboxes name it. */
  id: string;
  files: ReturnType<typeof templateFiles>;
  record: TemplateRecord;
}

export function templateDigest(key: TemplateKey): string {
  const sorted = Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 16);
}

/** What the guest sees of its machine, which a frozen memory depends on: a digest of the driver's own plan. */
export function hardwareDigest(
  driver: Driver,
  found: DriverFound,
  shape: Pick<MachineSpec, 'cpus' | 'memoryMib' | 'diskGib' | 'accelerator'>,
  layers: readonly Layer[],
): string {
  const plan = driver.plan(
    {
      ...shape,
      id: 'template',
      kernel: { vmlinuz: 'kernel', initramfs: 'initramfs' },
      layers: layers.map((layer, nr) =>
        typeof layer === 'string' ? `layer${nr}` : layer.map((_, part) => `layer${nr}.${part}`),
      ),
      disk: { kind: 'raw', file: 'disk' },
      memory: { file: 'memory', shared: true },
      sockets: { folder: 'sockets', qmp: 'qmp', agent: 'agent', egress: 'egress' },
    },
    found,
  );
  const args = plan.args((path) => path);
  return createHash('sha256').update(JSON.stringify(args)).digest('hex').slice(0, 16);
}

/**
 * Reads a template and checks that it is this user's, names files of its own store only, and that each of its files is
 * there and whole. Throws `machine.template-damaged`.
 */
export async function openTemplate(folder: string): Promise<Template> {
  const files = templateFiles(folder);
  const id = basename(folder);
  const found = await lstat(folder).catch((cause: unknown) => {
    throw damaged(id, `${folder} cannot be read`, cause);
  });
  if (!found.isDirectory() || found.uid !== (process.getuid?.() ?? 0))
    throw damaged(id, `${folder} is not a folder of this user`);
  let record: TemplateRecord;
  try {
    record = JSON.parse(await readFile(files.record, 'utf8'));
  } catch (cause) {
    throw damaged(id, `${files.record} cannot be read`, cause);
  }
  for (const name of ['memory', 'device', 'disk', 'overlay'] as const) {
    const file = await lstat(files[name]).catch((cause: unknown) => {
      throw damaged(id, `${files[name]} is missing`, cause);
    });
    if (!file.isFile()) throw damaged(id, `${files[name]} is not a file`);
    const { size } = file;
    if (size !== record.sizes[name]) {
      throw damaged(id, `${files[name]} has ${size} bytes and should have ${record.sizes[name]}`);
    }
  }
  const store = dirname(dirname(folder));
  const { vmlinuz, initramfs } = record.kernel;
  for (const path of [vmlinuz, initramfs, ...record.layers.flat()])
    if (normalize(path) !== path || !path.startsWith(`${store}/`))
      throw damaged(id, `it names ${path}, which is not in ${store}`);
  return { id, files, record };
}

/** Every whole template of `folder`; damaged ones are passed to `onDamaged`. */
export async function listTemplates(
  folder: string,
  onDamaged: (id: string, error: WarrenError) => void = () => {},
): Promise<Template[]> {
  const found: Template[] = [];
  for (const name of (await readdir(folder).catch(() => [])).sort()) {
    if (name.startsWith('.')) continue;
    try {
      found.push(await openTemplate(join(folder, name)));
    } catch (error) {
      onDamaged(name, WarrenError.from(error));
    }
  }
  return found;
}

function damaged(id: string, why: string, cause?: unknown): WarrenError {
  return new WarrenError(
    {
      code: 'machine.template-damaged',
      message: `template ${id} is damaged: ${why}`,
      remedy: `warren template rm ${id}`,
    },
    { cause },
  );
}
