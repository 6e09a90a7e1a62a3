// `sandbox.json`: all that the daemon must know of a sandbox, written whole at each change. The daemon holds
// nothing that it cannot read here again.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { writeJsonAtomic } from '../host/atomic-file.ts';
import { type Layout, sandboxesFolder, sandboxFiles } from '../host/layout.ts';
import type { SandboxView } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';

const text = v.pipe(v.string(), v.maxLength(4096));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));

const machineRecord = v.object({
  driver: text,
  vmm: v.object({ pid: v.number(), startTicks: v.number() }),
  control: text,
  agent: text,
  egress: text,
  console: text,
  confinement: v.object({
    namespaces: v.boolean(),
    why: v.exactOptional(v.string()),
    ordinaryUser: v.boolean(),
    limits: v.boolean(),
  }),
});

const script = v.pipe(v.string(), v.maxLength(8 * 1024 * 1024));
const steps = v.array(v.object({ title: script, script }));
const lifecycleSchema = v.object({
  boot: v.object({
    folders: v.array(v.object({ path: text, memory: v.boolean() })),
    script: v.nullable(script),
  }),
  create: steps,
  start: steps,
  attach: steps,
  waitFor: v.picklist(['prepared', 'create', 'start']),
  timeoutMs: v.exactOptional(count),
});

const recordSchema = v.object({
  version: v.literal(1),
  id: v.pipe(v.string(), v.regex(/^[a-z0-9]{4,32}$/)),
  name: text,
  state: v.picklist(['creating', 'running', 'paused', 'stopped', 'crashed', 'removing']),
  createdAt: text,
  repository: v.nullable(
    v.object({
      root: text,
      guestPath: text,
      branch: text,
      base: v.nullable(text),
      submodules: v.array(v.object({ path: text, base: v.nullable(text) })),
    }),
  ),
  image: text,
  template: text,
  accelerator: text,
  cpus: count,
  memoryMib: count,
  diskGib: count,
  user: text,
  workdir: text,
  /** Of a devcontainer.json: what all sessions have besides what the image says. */
  env: v.exactOptional(v.record(v.string(), v.string())),
  lifecycle: v.exactOptional(lifecycleSchema),
  /** How its lifecycle commands fare. */
  setup: v.exactOptional(
    v.object({ state: v.picklist(['running', 'done', 'failed']), step: text, why: v.nullable(text) }),
  ),
  machineId: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  machine: v.nullable(machineRecord),
  handback: v.nullable(v.object({ ref: text, tip: text, at: text })),
  /** What the guest held when it was last stopped in order; null when that is not known. */
  left: v.nullable(v.object({ head: v.nullable(text), commits: count, changes: count, at: text })),
  note: v.nullable(text),
});

export type SandboxRecord = v.InferOutput<typeof recordSchema>;

export async function writeRecord(layout: Layout, record: SandboxRecord): Promise<void> {
  await writeJsonAtomic(sandboxFiles(layout, record.id).state, record);
}

/** Throws `sandbox.state-corrupt`, which names the file. */
export async function readRecord(file: string): Promise<SandboxRecord> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw corrupt(file, (cause as Error).message, cause);
  }
  const parsed = v.safeParse(recordSchema, value);
  if (!parsed.success) {
    const issue = parsed.issues[0];
    throw corrupt(file, `${v.getDotPath(issue) ?? 'it'}: ${issue.message}`);
  }
  return parsed.output;
}

/** All sandboxes on disk; what cannot be read is answered beside them, not thrown. */
export async function readRecords(
  layout: Layout,
): Promise<{ records: SandboxRecord[]; corrupt: WarrenError[] }> {
  const records: SandboxRecord[] = [];
  const corrupt: WarrenError[] = [];
  for (const name of await readdir(sandboxesFolder(layout)).catch(() => [])) {
    if (name.startsWith('.')) continue;
    try {
      records.push(await readRecord(join(sandboxFiles(layout, name).state)));
    } catch (error) {
      corrupt.push(WarrenError.from(error));
    }
  }
  return { records, corrupt };
}

export function viewOf(record: SandboxRecord): SandboxView {
  const { id, name, state, createdAt, image, template, cpus, memoryMib, diskGib, user, workdir, handback } =
    record;
  const repository = record.repository && {
    root: record.repository.root,
    guestPath: record.repository.guestPath,
    branch: record.repository.branch,
    base: record.repository.base,
  };
  return {
    id,
    name,
    state,
    createdAt,
    repository,
    image,
    template,
    cpus,
    memoryMib,
    diskGib,
    user,
    workdir,
    handback,
    setup: record.setup ?? null,
  };
}

function corrupt(file: string, why: string, cause?: unknown): WarrenError {
  return new WarrenError(
    {
      code: 'sandbox.state-corrupt',
      message: `cannot read ${file}: ${why}`,
      remedy: `mend the file, or move its folder away; the sandbox's disk stays beside it`,
    },
    { cause },
  );
}
