// What a devcontainer.json and a label mean, in one shape for us and for the reference implementation: its
// `read-configuration --include-merged-configuration`, which wants an engine to ask of images and gets a script.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  mergeDefinition,
  parseDevcontainer,
  substitute,
  toEnvironment,
  type Variables,
} from '../../src/environment/devcontainer/index.ts';
import { formatReference } from '../../src/environment/index.ts';
import { attempt, isRefusal } from './facts.ts';

export interface Configuration {
  name: string;
  /** In the repository. */
  path: string;
  text: string;
  /** `devcontainer.metadata` of the image. */
  label: string | null;
}

export type Reading = Record<string, unknown>;

const ROOT = '/r/my app';
const LOCAL_ENV = { USER: 'ada', EMPTY: '', TRICK: '${localEnv:USER}', PATH: '/usr/bin:/bin' };

/** null: refused, which is an answer too. */
export function ownAnswer(configuration: Configuration): Reading | null {
  return attempt(() => ownReading(configuration), isRefusal);
}

function ownReading({ path, text, label }: Configuration): Reading {
  const file = join(ROOT, path);
  const written = parseDevcontainer(text, path);
  const workdir = substitute(written.workspaceFolder ?? '/workspaces/my app', variables(''));
  const said = substitute(written, variables(workdir));
  const environment = toEnvironment(said, file, ROOT);
  const merged = mergeDefinition(label, said, (entry) => substitute(entry, variables(workdir)));
  return sorted({
    environment:
      environment.kind === 'image'
        ? formatReference(environment.reference)
        : [environment.file, environment.context, environment.target, environment.args],
    containerUser: merged.containerUser,
    remoteUser: merged.remoteUser,
    containerEnv: merged.containerEnv,
    remoteEnv: merged.remoteEnv,
    userEnvProbe: merged.userEnvProbe,
    workspaceFolder: merged.workspaceFolder ?? '/workspaces/my app',
    workspaceTarget: merged.workspaceTarget ?? '/workspaces/my app',
    initialize: merged.initialize,
    ...merged.lifecycle,
    waitFor: merged.waitFor,
    entrypoints: merged.entrypoints,
    mounts: merged.mounts,
    forwardPorts: merged.forwardPorts,
    hostRequirements: merged.hostRequirements,
  });
}

function variables(containerWorkspaceFolder: string): Variables {
  return {
    localEnv: LOCAL_ENV,
    localWorkspaceFolder: ROOT,
    containerWorkspaceFolder,
    // The reference has no container yet that it could be the identifier of.
    devcontainerId: '${devcontainerId}',
    containerEnv: null,
  };
}

/** `program`: of the reference implementation, `devcontainer.js`. null: it refused. */
export function referenceReading({ path, text, label }: Configuration, program: string): Reading | null {
  const home = realpathSync(mkdtempSync(join(tmpdir(), 'warren-reference-')));
  try {
    // It knows repositories by where they are, and identifiers are made of that.
    const root = join(home, ROOT);
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    const engine = join(home, 'engine');
    const config = { User: '', Env: [], Labels: label === null ? {} : { 'devcontainer.metadata': label } };
    const image = JSON.stringify([{ Id: 'sha256:1', Os: 'linux', Architecture: 'amd64', Config: config }]);
    writeFileSync(join(home, 'image.json'), image);
    writeFileSync(engine, `#!/bin/sh\n[ "$1" = inspect ] && cat '${join(home, 'image.json')}'\nexit 0\n`);
    chmodSync(engine, 0o755);
    const dockerfile = dockerfileOf(text);
    if (dockerfile !== null) {
      const place = join(dirname(file), dockerfile);
      mkdirSync(dirname(place), { recursive: true });
      writeFileSync(place, 'FROM base\nFROM base AS stage\n');
    }
    const { stdout } = spawnSync(
      process.execPath,
      [
        ...[program, 'read-configuration', '--include-merged-configuration', '--docker-path', engine],
        ...['--workspace-folder', root, '--config', file],
      ],
      { encoding: 'utf8', env: { ...LOCAL_ENV, HOME: home } },
    );
    const line = stdout.trim().split('\n').at(-1) ?? '';
    if (!line.startsWith('{')) return null;
    const said = JSON.parse(line.replaceAll(root, ROOT));
    return said.mergedConfiguration ? readingOf(said, join(ROOT, path)) : null;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** What is merged is only told when the Dockerfile is there. */
function dockerfileOf(text: string): string | null {
  return /"docker[Ff]ile"\s*:\s*"([^"]+)"/.exec(text)?.[1] ?? null;
}

// biome-ignore lint/suspicious/noExplicitAny: whatever it answered
type Json = Record<string, any>;

function readingOf(
  {
    configuration,
    workspace,
    mergedConfiguration: merged,
  }: { configuration: Json; workspace: Json; mergedConfiguration: Json },
  file: string,
): Reading {
  const old = 'dockerFile' in configuration;
  const { dockerfile, context, target, args } = old
    ? {
        ...configuration['build'],
        dockerfile: configuration['dockerFile'],
        context: configuration['context'],
      }
    : (configuration['build'] ?? {});
  const from = dirname(file);
  const at = dockerfile && join(from, dockerfile);
  const needs = merged['hostRequirements'] ?? {};
  return sorted({
    environment: at
      ? [at, context === undefined ? dirname(at) : join(from, context), target ?? null, args ?? {}]
      : withTag(configuration['image']),
    containerUser: merged['containerUser'] ?? null,
    remoteUser: merged['remoteUser'] ?? null,
    containerEnv: { ...merged['containerEnv'], ...engineEnv(configuration['runArgs'] ?? []) },
    remoteEnv: merged['remoteEnv'] ?? {},
    userEnvProbe: merged['userEnvProbe'] ?? 'loginInteractiveShell',
    workspaceFolder: workspace['workspaceFolder'],
    workspaceTarget:
      /(?:target|dst|destination)=([^,"]+)/.exec(workspace['workspaceMount'] ?? '')?.[1] ??
      '/workspaces/my app',
    initialize: configuration['initializeCommand'] || null,
    onCreateCommand: merged['onCreateCommands'] ?? [],
    updateContentCommand: merged['updateContentCommands'] ?? [],
    postCreateCommand: merged['postCreateCommands'] ?? [],
    postStartCommand: merged['postStartCommands'] ?? [],
    postAttachCommand: merged['postAttachCommands'] ?? [],
    waitFor: merged['waitFor'] ?? 'updateContentCommand',
    entrypoints: merged['entrypoints'] ?? [],
    mounts: (merged['mounts'] ?? []).map(mountOf),
    forwardPorts: (merged['forwardPorts'] ?? []).filter((port: unknown) => typeof port === 'number'),
    hostRequirements: {
      cpus: needs.cpus || null,
      memoryBytes: Number(needs.memory ?? 0) || null,
      storageBytes: Number(needs.storage ?? 0) || null,
    },
  });
}

/** An engine would read it of its arguments. */
function engineEnv(runArgs: string[]): Record<string, string> {
  const pairs = runArgs.flatMap((arg, at) => (arg === '-e' ? [runArgs[at + 1]!.split('=')] : []));
  return Object.fromEntries(pairs.map(([name, ...value]) => [name, value.join('=')]));
}

/** It leaves them as they were written; an engine reads them. */
function mountOf(mount: string | Json): Json {
  const said =
    typeof mount === 'string'
      ? Object.fromEntries(mount.split(',').map((row) => row.split('=') as [string, string]))
      : mount;
  return {
    type: said['type'] ?? 'volume',
    source: said['source'] ?? said['src'] ?? '',
    target: said['target'] ?? said['dst'] ?? said['destination'],
  };
}

/** As an engine completes it. */
function withTag(image: string): string {
  const named = /[:@][^/]*$/.test(image) ? image : `${image}:latest`;
  const [host = ''] = named.split('/');
  if (named.includes('/') && /[.:]|^localhost$/.test(host)) return named;
  return `docker.io/${named.includes('/') ? '' : 'library/'}${named}`;
}

/** What a file that says nothing means, and so is left out. */
const USUAL = [
  ...['[]', '{}', 'null', '"updateContentCommand"', '"loginInteractiveShell"', '"/workspaces/my app"'],
  '{"cpus":null,"memoryBytes":null,"storageBytes":null}',
];

/** JSON without what is undefined or usual, its keys in order. */
function sorted(value: Reading): Reading {
  const inOrder = (_: string, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each;
  const all = Object.entries(JSON.parse(JSON.stringify(value, inOrder)) as Reading);
  return Object.fromEntries(all.filter(([, each]) => !USUAL.includes(JSON.stringify(each))));
}
