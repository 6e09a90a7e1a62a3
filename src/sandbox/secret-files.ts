// `secrets.json` (references, never values) and the `placeholders.json` of a sandbox. A file that cannot be read is an
// error, never an empty one: nothing is put in then, and no door opens.

import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as v from 'valibot';
import { isPlaceholder } from '../egress/secret/placeholder.ts';
import { writeJsonAtomic } from '../host/atomic-file.ts';
import { WarrenError } from '../protocol/error.ts';

const text = v.pipe(v.string(), v.maxLength(4200));

const secretSchema = v.strictObject({
  name: text,
  root: v.nullable(text),
  hosts: v.array(text),
  from: v.nullable(text),
  like: v.nullable(text),
  variable: text,
  query: v.boolean(),
  body: v.boolean(),
});
const secretsSchema = v.strictObject({ version: v.literal(1), secrets: v.array(secretSchema) });
const placeholdersSchema = v.strictObject({
  version: v.literal(1),
  placeholders: v.record(text, v.pipe(v.string(), v.check(isPlaceholder))),
});

export type StoredSecret = v.InferOutput<typeof secretSchema>;

export async function readSecrets(file: string): Promise<StoredSecret[]> {
  return (await readJson(file, secretsSchema))?.secrets ?? [];
}

export async function writeSecrets(file: string, secrets: readonly StoredSecret[]): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeJsonAtomic(file, { version: 1, secrets });
}

export async function readPlaceholders(file: string): Promise<Map<string, string>> {
  return new Map(Object.entries((await readJson(file, placeholdersSchema))?.placeholders ?? {}));
}

export async function writePlaceholders(
  file: string,
  placeholders: ReadonlyMap<string, string>,
): Promise<void> {
  await writeJsonAtomic(file, { version: 1, placeholders: Object.fromEntries(placeholders) });
}

/** Null when it is not there. Throws `secret.store-corrupt`. */
async function readJson<S extends v.GenericSchema>(
  file: string,
  schema: S,
): Promise<v.InferOutput<S> | null> {
  let content: string;
  try {
    content = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw corrupt(file, (error as NodeJS.ErrnoException).code ?? 'it cannot be opened');
  }
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    throw corrupt(file, 'it is not JSON');
  }
  const parsed = v.safeParse(schema, value);
  if (!parsed.success)
    throw corrupt(file, `${v.getDotPath(parsed.issues[0]) ?? 'it'} is not as it should be`);
  return parsed.output;
}

function corrupt(file: string, why: string): WarrenError {
  return new WarrenError({
    code: 'secret.store-corrupt',
    message: `cannot read ${file}: ${why}`,
    remedy: `mend the file, or remove it and add the secrets again`,
  });
}
