// Which files decide whether what was prepared still fits. Pure, except for reading them.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseIgnore } from '../../environment/dockerfile/index.ts';
import { WarrenError } from '../../protocol/error.ts';

/** What package managers and version managers read: by these names in any folder. docs/PREPARE.md lists them. */
export const KNOWN_INPUTS: readonly string[] = [
  ...[
    '.gitmodules',
    '.node-version',
    '.nvmrc',
    '.python-version',
    '.ruby-version',
    '.tool-versions',
    'mise.toml',
  ],
  ...['package.json', 'package-lock.json', 'npm-shrinkwrap.json', 'yarn.lock', '.yarnrc.yml', '.npmrc'],
  ...['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'bun.lock', 'bun.lockb', 'deno.json', 'deno.lock'],
  ...[
    'requirements*.txt',
    'constraints*.txt',
    'Pipfile',
    'Pipfile.lock',
    'pyproject.toml',
    'poetry.lock',
    'uv.lock',
  ],
  ...['pdm.lock', 'setup.py', 'setup.cfg', 'environment.yml'],
  ...['go.mod', 'go.sum', 'go.work', 'go.work.sum'],
  ...['Cargo.toml', 'Cargo.lock', 'rust-toolchain', 'rust-toolchain.toml'],
  ...['Gemfile', 'Gemfile.lock', '*.gemspec', 'composer.json', 'composer.lock', 'mix.exs', 'mix.lock'],
  ...[
    'pom.xml',
    'build.gradle',
    'build.gradle.kts',
    'settings.gradle',
    'settings.gradle.kts',
    'gradle.lockfile',
  ],
  ...['libs.versions.toml', '*.csproj', 'packages.lock.json', 'Package.swift', 'Package.resolved'],
  ...['pubspec.yaml', 'pubspec.lock'],
];

const INPUTS_MAX = 10_000;
const INPUT_MAX_BYTES = 256 * 1024 ** 2;

/**
 * `declared`: patterns as in a `.dockerignore`, or null for what is known. Besides, always: tracked files that a command
 * names, since a script decides as much as a lockfile. Throws `usage.settings`.
 */
export function chooseInputs(
  tracked: readonly string[],
  declared: readonly string[] | null,
  commands: readonly string[],
): string[] {
  const patterns = declared ?? KNOWN_INPUTS.map((name) => `**/${name}`);
  // As in a list of what to leave out, read the other way round: what it names is chosen.
  const rules = parseIgnore(patterns.join('\n'), 'the inputs of "prepare"');
  const named = new Set(
    commands
      .flatMap((command) => command.split(/[\s'"`;&|()<>$={}]+/))
      .map((word) => word.replace(/^\.\//, '')),
  );
  const chosen = tracked.filter((path) => named.has(path) || rules.ignores(path));
  if (chosen.length <= INPUTS_MAX) return chosen;
  throw new WarrenError({
    code: 'usage.settings',
    message: `cannot prepare: ${chosen.length} files decide whether it is done again, and ${INPUTS_MAX} are allowed`,
    remedy: 'name fewer: "prepare": {"run": …, "inputs": ["package-lock.json"]}',
  });
}

/** Of each as it lies in the working tree, which is what travels. null: it is not there. */
export async function digestInputs(
  root: string,
  paths: readonly string[],
): Promise<[path: string, digest: string | null][]> {
  const rows: [string, string | null][] = [];
  for (const path of paths) rows.push([path, await digestOf(join(root, path))]);
  return rows;
}

async function digestOf(file: string): Promise<string | null> {
  const found = await lstat(file).catch(() => undefined);
  if (!found) return null;
  const hash = createHash('sha256');
  if (found.isSymbolicLink()) return hash.update(`link ${await readlink(file)}`).digest('hex');
  if (!found.isFile()) return 'no file';
  if (found.size > INPUT_MAX_BYTES)
    throw new WarrenError({
      code: 'usage.settings',
      message: `cannot prepare: ${file} decides whether it is done again, and is larger than ${INPUT_MAX_BYTES} bytes`,
      remedy: 'name smaller files: "prepare": {"run": …, "inputs": ["package-lock.json"]}',
    });
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
