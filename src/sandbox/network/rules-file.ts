// What a person said for one sandbox or one project, on disk: entries as in `warren.json`, and of a project the
// content of its `warren.json` that was trusted. Written by the daemon only; no guest reaches it.

import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as v from 'valibot';
import type { Entry } from '../../egress/policy/rule.ts';
import { writeJsonAtomic } from '../../host/atomic-file.ts';
import { WarrenError } from '../../protocol/error.ts';

const entries = v.array(v.unknown());
const schema = v.object({
  version: v.literal(1),
  allow: entries,
  deny: entries,
  /** Of a project: what its `warren.json` said when a person trusted it. */
  trusted: v.optional(
    v.nullable(v.object({ network: v.optional(v.unknown()), egress: v.optional(v.unknown()) })),
  ),
  /** Of a sandbox: profiles that fitted its repository and environment when it was made. */
  fitting: v.optional(v.array(v.string())),
  /** Of a sandbox: what its maker chose. */
  network: v.optional(v.nullable(v.picklist(['none', 'mediated', 'open']))),
});

export type RulesFile = Omit<v.InferOutput<typeof schema>, 'allow' | 'deny'> & {
  allow: Entry[];
  deny: Entry[];
};

/**
 * One that is not there says nothing, unless it `mustBe`: a sandbox's own is made with it, and may say that there is no
 * network. Throws `sandbox.state-corrupt`: then nothing is allowed.
 */
export async function readRulesFile(file: string, { mustBe = false } = {}): Promise<RulesFile> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (isMissing && mustBe) throw missing(file);
    if (isMissing) return { version: 1, allow: [], deny: [] };
    throw corrupt(file, (error as Error).message);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw corrupt(file, (error as Error).message);
  }
  const parsed = v.safeParse(schema, value);
  if (!parsed.success) throw corrupt(file, parsed.issues[0].message);
  return parsed.output as RulesFile;
}

export async function writeRulesFile(file: string, rules: RulesFile): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeJsonAtomic(file, rules);
}

function corrupt(file: string, why: string): WarrenError {
  return new WarrenError({
    code: 'sandbox.state-corrupt',
    message: `cannot read ${file}: ${why}`,
    remedy: `move it away: mv '${file}' '${file}.bad' (what was allowed in it is denied then)`,
  });
}

function missing(file: string): WarrenError {
  return new WarrenError({
    code: 'sandbox.state-corrupt',
    message: `cannot read ${file}: it is gone, and with it what was denied in it`,
    remedy: 'say anew what this sandbox may: warren policy allow NAME HOST, or warren policy deny NAME HOST',
  });
}
