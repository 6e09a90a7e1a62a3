// What is done once with a repository there, before sandboxes are restored from the result. Pure.

import { createHash } from 'node:crypto';
import * as v from 'valibot';

export interface Preparation {
  /** For people: the file that asks for it. */
  from: string;
  boot: Boot;
  /** One after the other, as the environment's user where sessions start. */
  steps: readonly Step[];
  env: Record<string, string>;
  /** Patterns of files that decide whether it is done again; null: what package managers read. */
  inputs: readonly string[] | null;
  timeoutMs: number;
}

/** What is done first, each time the machine boots. */
export interface Boot {
  /** Made for the user; of memory, or the machine's own. */
  folders: { path: string; memory: boolean }[];
  /** Run by root; null: nothing. */
  script: string | null;
}

export const NO_BOOT: Boot = { folders: [], script: null };

export interface Step {
  /** As people wrote it: told, and looked through for files that it names. */
  title: string;
  /** Text for `/bin/sh -c`. */
  script: string;
}

/** Raised when the way of preparing changes. */
const RECIPE = 2;
export const TIMEOUT_MS = 60 * 60_000;

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
    boot: NO_BOOT,
    steps: commands.map((command) => ({ title: command, script: command })),
    env: {},
    inputs: inputs ?? null,
    timeoutMs: timeout === undefined ? TIMEOUT_MS : timeout * 1000,
  };
}

/** Both, the first one's steps first. */
export function joined(first: Preparation | null, second: Preparation | null): Preparation | null {
  if (!first || !second) return first ?? second;
  return {
    from: `${first.from} and ${second.from}`,
    boot: {
      folders: [...first.boot.folders, ...second.boot.folders],
      script: first.boot.script ?? second.boot.script,
    },
    steps: [...first.steps, ...second.steps],
    env: { ...first.env, ...second.env },
    inputs:
      first.inputs && second.inputs ? [...first.inputs, ...second.inputs] : (first.inputs ?? second.inputs),
    timeoutMs: Math.max(first.timeoutMs, second.timeoutMs),
  };
}

/** What else the result depends on. */
export interface Circumstances {
  /** Of the repository on the host: its certificate authority and its policy are its own. */
  root: string;
  guestPath: string;
  workdir: string;
  user: string;
  identity: { name: string; email: string } | null;
  carry: readonly string[];
  inputs: readonly [path: string, digest: string | null][];
}

export function preparationDigest(preparation: Preparation, around: Circumstances): string {
  const { boot, steps, env } = preparation;
  const { root, guestPath, workdir, user, identity, carry, inputs } = around;
  const place = [root, guestPath, workdir, user, identity, carry];
  const facts = [RECIPE, boot, steps.map(({ script }) => script), sorted(env), ...place, inputs];
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

function sorted(env: Record<string, string>): [string, string][] {
  return Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1));
}
