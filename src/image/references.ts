// What names stood for when they were last used: references to images, files, Dockerfiles. A record's time of change is
// when its name was last used.

import { createHash } from 'node:crypto';
import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { DockerfileEnvironment } from '../environment/index.ts';
import { writeJsonAtomic } from '../host/atomic-file.ts';
import { layerFile, referenceFile } from '../host/layout.ts';
import { ensurePrivateFolder } from '../host/private-folder.ts';

/** `references/KEY.json`, as far as all have it. */
interface AnyRecord {
  name: string;
  /** The folder of the image; '' while it only was built upon. */
  image: string;
  at: string;
  parts?: { layers: { diffId: string }[] };
  /** Of a Dockerfile: its path, and all layers that its next build may find. */
  build?: { file: string; layers: string[] };
}

export interface KnownName {
  /** Of the record. */
  file: string;
  name: string;
  image: string;
  /** Names of files in the store. */
  layers: string[];
  /** null: it is no Dockerfile's. */
  dockerfile: string | null;
  usedAtMs: number;
}

/** Raised when what decides which build is meant changes. */
const RECIPE = 1;

/** Records that cannot be read are left out. */
export async function knownNames(folder: string): Promise<KnownName[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith('.'));
  const found = await Promise.all(names.map((name) => readName(join(folder, name))));
  return found.filter((each) => each !== undefined);
}

async function readName(file: string): Promise<KnownName | undefined> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(file, 'utf8'), stat(file)]);
    const { name, image, parts, build }: AnyRecord = JSON.parse(text);
    const layers = build?.layers ?? parts?.layers.map(({ diffId }) => diffId) ?? [];
    return {
      file,
      name: String(name),
      image: String(image ?? ''),
      layers: layers.map((diffId) => basename(layerFile('', diffId))),
      dockerfile: build?.file ?? null,
      usedAtMs: mtimeMs,
    };
  } catch {
    return undefined;
  }
}

export async function markUsed(file: string): Promise<void> {
  const now = new Date();
  await utimes(file, now, now).catch(() => {});
}

export async function forgetName(file: string): Promise<void> {
  await rm(file, { force: true });
}

/** `image`: its folder; `layers`: digests of all that the build found or made. */
export async function rememberBuild(
  folder: string,
  { file, context, target, args, contexts }: Omit<DockerfileEnvironment, 'kind'>,
  made: { image: string; layers: readonly string[] },
): Promise<void> {
  const facts = JSON.stringify([RECIPE, file, context, target, args, contexts]);
  const key = createHash('sha256').update(`dockerfile\n${facts}`).digest('hex').slice(0, 24);
  const record: AnyRecord = {
    name: target === null ? file : `${file} (${target})`,
    image: basename(made.image),
    at: new Date().toISOString(),
    build: { file, layers: [...new Set(made.layers)] },
  };
  await ensurePrivateFolder(folder);
  await writeJsonAtomic(referenceFile(folder, key), record);
}
