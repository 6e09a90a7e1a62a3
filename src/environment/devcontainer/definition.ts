// What a sandbox gets: what the image's label says and what devcontainer.json says, merged by the table of
// https://containers.dev/implementors/spec/#merge-logic. Pure.

import { type ParseError, parse } from 'jsonc-parser';
import * as v from 'valibot';
import { WarrenError } from '../../protocol/error.ts';
import { shapeObjection } from '../../protocol/shape.ts';
import { DEPTH_MAX, tooDeep } from './depth.ts';
import { type Mount, readMount } from './mount.ts';
import { readRunArgs } from './run-args.ts';
import {
  type Command,
  type DevcontainerFile,
  isUser,
  type Metadata,
  metadataSchema,
  PHASES,
  type Phase,
} from './schema.ts';

export interface Definition {
  /** null: the image's own. */
  containerUser: string | null;
  /** null: the container's. */
  remoteUser: string | null;
  containerEnv: Record<string, string>;
  /** null: the variable is taken away. */
  remoteEnv: Record<string, string | null>;
  userEnvProbe: 'none' | 'loginShell' | 'interactiveShell' | 'loginInteractiveShell';
  /** Where sessions start, absolute in the guest; null: where the repository lies. */
  workspaceFolder: string | null;
  /** Where the repository lies, absolute in the guest; null: where repositories lie. */
  workspaceTarget: string | null;
  /** What is to lie there, of the host; null: the repository. */
  workspaceSource: string | null;
  /** Of the host; nobody runs it unasked. */
  initialize: Command | null;
  /** Those of features and images first. */
  lifecycle: Record<Phase, Command[]>;
  waitFor: 'initializeCommand' | Phase;
  /** What features want started as root with the machine: programs that do something, then exec their arguments. */
  entrypoints: string[];
  mounts: Mount[];
  forwardPorts: number[];
  hostRequirements: { cpus: number | null; memoryBytes: number | null; storageBytes: number | null };
  /** Patterns of files that decide whether it is prepared again; null: what package managers read. */
  inputs: string[] | null;
  /** Of preparing; null: as long as usual. */
  timeoutMs: number | null;
  /** For people: what is asked for and not done. */
  notices: string[];
}

const LABEL_MAX_CHARS = 1024 * 1024;
const ENTRIES_MAX = 1000;

/**
 * `label`: `devcontainer.metadata` of the image; null: it has none. `substituted` puts the host's variables into what it
 * says; the file has them already. Throws `environment.devcontainer`.
 */
export function mergeDefinition(
  label: string | null,
  file: DevcontainerFile,
  substituted: (entry: Metadata) => Metadata = (entry) => entry,
): Definition {
  const entries: Metadata[] = [...readLabel(label).map(substituted), file];
  // What is empty says nothing.
  const last = <Key extends keyof Metadata>(key: Key) => entries.findLast((entry) => entry[key])?.[key];
  const all = <Value>(pick: (entry: Metadata) => Value | null | undefined): Value[] =>
    entries.flatMap((entry) => pick(entry) ?? []);
  const runArgs = readRunArgs(file.runArgs ?? []);
  const notices = [...noticesOf(file, runArgs.left)];
  // "" is how a file says that nothing is to be mounted: the repository lies where it always does then.
  const workspace = file.workspaceMount ? readMount(file.workspaceMount) : null;
  const mounts = new Map<string, Mount>();
  for (const wish of all((entry) => entry.mounts).flat()) {
    const mount = readMount(wish);
    mounts.delete(mount.target);
    mounts.set(mount.target, mount);
  }
  const ports = all((entry) => entry.forwardPorts)
    .flat()
    .map((port) => (/^localhost:\d+$/.test(String(port)) ? Number(String(port).split(':')[1]) : port));
  for (const port of ports)
    if (typeof port === 'string')
      notices.push(`forwardPorts: ${port} is a port of another host, and is not led to`);
  if (entries.some((entry) => entry.hostRequirements?.gpu))
    notices.push('hostRequirements: a machine has no GPU');
  const most = (key: 'memory' | 'storage') =>
    all((entry) => entry.hostRequirements?.[key]).reduce<number | null>(
      (before, size) => Math.max(before ?? 0, bytesOf(size)) || null,
      null,
    );
  return {
    containerUser: userOf('containerUser', last('containerUser')),
    remoteUser: userOf('remoteUser', last('remoteUser')),
    containerEnv: Object.assign({}, ...all((entry) => entry.containerEnv), runArgs.env),
    remoteEnv: Object.assign({}, ...all((entry) => entry.remoteEnv)),
    userEnvProbe: last('userEnvProbe') ?? 'loginInteractiveShell',
    workspaceFolder: folderOf(file.workspaceFolder),
    workspaceTarget: workspace?.target ?? null,
    workspaceSource: workspace?.source ?? null,
    initialize: file.initializeCommand || null,
    lifecycle: Object.fromEntries(
      PHASES.map((phase) => [
        phase,
        // Not `flatMap`: a list of words is one command.
        entries.map((entry) => entry[phase]).filter((command) => command !== undefined && command !== ''),
      ]),
    ) as Record<Phase, Command[]>,
    waitFor: last('waitFor') ?? 'updateContentCommand',
    entrypoints: all((entry) => entry.entrypoint || null),
    mounts: [...mounts.values()],
    forwardPorts: [...new Set(ports.filter((port) => typeof port === 'number'))],
    hostRequirements: {
      cpus: all((entry) => entry.hostRequirements?.cpus).reduce<number | null>(
        (a, b) => Math.max(a ?? 0, b),
        null,
      ),
      memoryBytes: most('memory'),
      storageBytes: most('storage'),
    },
    inputs: ownSettings(file).inputs ?? null,
    timeoutMs: (ownSettings(file).timeout ?? 0) * 1000 || null,
    notices,
  };
}

const ownSchema = v.object({
  inputs: v.optional(
    v.pipe(v.array(v.pipe(v.string(), v.minLength(1), v.maxLength(4096))), v.maxLength(1000)),
  ),
  timeout: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(86_400))),
});

/** `customizations.warren`: as `prepare` in `warren.json` has them. */
function ownSettings(file: DevcontainerFile): v.InferOutput<typeof ownSchema> {
  const parsed = v.safeParse(ownSchema, file.customizations?.['warren'] ?? {});
  if (parsed.success) return parsed.output;
  const { place, why } = shapeObjection(ownSchema, parsed.issues[0]);
  throw new WarrenError({
    code: 'environment.devcontainer',
    message: `cannot use customizations.warren of devcontainer.json: ${place || 'it'}: ${why}`,
    remedy: 'write {"inputs": ["package-lock.json"], "timeout": 600}',
  });
}

function readLabel(label: string | null): Metadata[] {
  if (label === null || label.trim() === '') return [];
  if (label.length > LABEL_MAX_CHARS) throw badLabel(`it is longer than ${LABEL_MAX_CHARS} characters`);
  if (tooDeep(label) !== null) throw badLabel(`it has more than ${DEPTH_MAX} levels`);
  const errors: ParseError[] = [];
  const value: unknown = parse(label, errors);
  if (errors.length > 0) throw badLabel('it is no JSON');
  const schema = v.pipe(v.array(metadataSchema), v.maxLength(ENTRIES_MAX));
  const parsed = v.safeParse(schema, Array.isArray(value) ? value : [value]);
  if (parsed.success) return parsed.output;
  const { place, why } = shapeObjection(schema, parsed.issues[0]);
  throw badLabel(`${place || 'it'}: ${why}`);
}

function badLabel(why: string): WarrenError {
  return new WarrenError({
    code: 'environment.devcontainer',
    message: `cannot use the label devcontainer.metadata of the image: ${why}`,
    remedy: 'use another image, or mend the label where the image is made',
  });
}

function userOf(property: string, user: string | undefined): string | null {
  if (!user) return null;
  if (isUser(user)) return user;
  throw new WarrenError({
    code: 'environment.devcontainer',
    message: `cannot use ${property} of devcontainer.json: ${JSON.stringify(user.slice(0, 300))} is not a user`,
    remedy: 'write a name or a number, also with a group: "vscode", "1000:1000"',
  });
}

function folderOf(folder: string | undefined): string | null {
  if (!folder) return null;
  if (folder.startsWith('/') && !folder.split('/').includes('..')) return folder;
  throw new WarrenError({
    code: 'environment.devcontainer',
    message: `cannot use workspaceFolder of devcontainer.json: ${JSON.stringify(folder.slice(0, 300))} is no absolute path`,
    remedy: 'write it as "/workspaces/NAME"',
  });
}

function noticesOf(file: DevcontainerFile, runArgs: readonly string[]): string[] {
  const notices: string[] = [];
  if (runArgs.length > 0)
    notices.push(
      `runArgs: no container engine runs here, so ${runArgs.slice(0, 5).join(', ')} has no effect`,
    );
  if (file.build?.options && file.build.options.length > 0)
    notices.push(
      `build.options: no container engine builds here, so ${file.build.options.slice(0, 5).join(' ')} has no effect`,
    );
  if (file.appPort !== undefined) notices.push('appPort: use forwardPorts, or: warren forward NAME PORT');
  return notices;
}

/** `8gb`, `512mb`, or bytes. */
function bytesOf(size: string): number {
  const unit = /[tgmk]b$/i.exec(size)?.[0].toLowerCase();
  const power = unit === undefined ? 0 : ['kb', 'mb', 'gb', 'tb'].indexOf(unit) + 1;
  return Number.parseInt(size, 10) * 1024 ** power;
}
