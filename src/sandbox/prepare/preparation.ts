// What is done once with a repository there, before sandboxes are restored from the result. Pure.

import { createHash } from 'node:crypto';
import * as v from 'valibot';

export interface Preparation {
  /** For people: the file that asks for it. */
  from: string;
  /** As people wrote them: told, and looked through for files that they name. */
  commands: readonly string[];
  /** Text for `/bin/sh -c`, run as the environment's user where the repository lies. */
  script: string;
  env: Record<string, string>;
  /** Patterns of files that decide whether it is done again; null: what package managers read. */
  inputs: readonly string[] | null;
  timeoutMs: number;
}

/** Raised when the way of preparing changes. */
const RECIPE = 1;
const TIMEOUT_MS = 60 * 60_000;

export interface PrepareSetting {
  run: string | string[];
  inputs?: string[];
  timeout?: number;
}

/** Of `warren.json`'s `prepare`. */
export function preparationOf(setting: string | string[] | PrepareSetting): Preparation {
  const { run, inputs, timeout } =
    typeof setting === 'string' || Array.isArray(setting) ? { run: setting } : setting;
  const commands = typeof run === 'string' ? [run] : run;
  return {
    from: 'warren.json',
    commands,
    // Each in a shell of its own, so that one's variables and `exit` are its own.
    script: commands.map((command) => `/bin/sh -c ${quote(command)} || exit $?`).join('\n'),
    env: {},
    inputs: inputs ?? null,
    timeoutMs: timeout === undefined ? TIMEOUT_MS : timeout * 1000,
  };
}

/** What else the result depends on. */
export interface Circumstances {
  /** Of the repository on the host: its certificate authority and its policy are its own. */
  root: string;
  guestPath: string;
  user: string;
  identity: { name: string; email: string } | null;
  carry: readonly string[];
  inputs: readonly [path: string, digest: string | null][];
}

export function preparationDigest(preparation: Preparation, around: Circumstances): string {
  const { script, env } = preparation;
  const { root, guestPath, user, identity, carry, inputs } = around;
  const facts = [RECIPE, script, sorted(env), root, guestPath, user, identity, carry, inputs];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}

const text = v.pipe(v.string(), v.maxLength(65_536));
const repositorySchema = v.object({ path: text, head: v.nullable(text), shallow: v.array(text) });
const preparedSchema = v.object({
  from: text,
  root: text,
  commands: v.array(text),
  inputs: v.array(text),
  /** What the guest had then: later ones get only what is new. The repository itself comes first. */
  repositories: v.pipe(v.array(repositorySchema), v.minLength(1)),
  durationMs: v.number(),
});

/** As a template's record says it. */
export type Prepared = v.InferOutput<typeof preparedSchema>;

/** undefined: it is no prepared template, or of another version. */
export function preparedOf(record: { prepared?: unknown }): Prepared | undefined {
  const parsed = v.safeParse(preparedSchema, record.prepared);
  return parsed.success ? parsed.output : undefined;
}

/** For `/bin/sh`. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function sorted(env: Record<string, string>): [string, string][] {
  return Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1));
}
