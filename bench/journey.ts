// The whole journey on real repositories, as a person makes it: up, edit and commit inside, merge, `git log` on
// the host, rm. Each step is checked, and its time is put beside git's own for the same work.
//
//   npm run journey -- [--parallel N] [--kill-daemon] REPOSITORY[,SUBMODULE-PATH=REPOSITORY]...
//
// REPOSITORY may be bare; it is cloned and never touched. --parallel makes N sandboxes of each clone at once;
// --kill-daemon kills the daemon (SIGKILL) after the commit and again in the middle of the hand-back.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import type { DaemonInfo, UpResult } from '../src/protocol/api.ts';
import { Warren } from '../test/vm/harness.ts';

const COMMITS = 20;
const PROBE_MIB = 64;

const { values, positionals } = parseArgs({
  options: { parallel: { type: 'string', default: '1' }, 'kill-daemon': { type: 'boolean', default: false } },
  allowPositionals: true,
});
const warren = new Warren();
const rows: string[][] = [];
let merging: Promise<unknown> = Promise.resolve();

try {
  await warren.ok(['run', '--rm', '--no-repo', '--', 'true']);
  const mibPerSecond = await channelSpeed();
  for (const argument of positionals) {
    const { folder, cloneMs, submodules } = clone(argument);
    const names = Array.from({ length: Number(values.parallel) }, (_, nr) => `${basename(folder)}-${nr}`);
    await Promise.all(names.map((name) => journey({ name, folder, cloneMs, submodules, mibPerSecond })));
  }
} finally {
  await warren.close();
}
const head = [
  'sandbox',
  'commits',
  'pack MiB',
  'up ms',
  'of it repo ms',
  'clone + transfer ms',
  'ratio',
  'fetch ms',
  'git fetch ms',
  'merge ms',
];
console.log(`| ${head.join(' | ')} |\n|${head.map(() => '---').join('|')}|`);
for (const row of rows) console.log(`| ${row.join(' | ')} |`);

interface Cloned {
  folder: string;
  cloneMs: number;
  submodules: string[];
}

/** A clone as a developer has it, and how long `git clone --no-local` took. */
function clone(argument: string): Cloned {
  const [source = '', ...modules] = argument.split(',');
  const name = basename(source).replace(/\.git$/, '');
  const folder = join(warren.home, name === 'repo' ? basename(dirname(source)).replace(/.*\+/, '') : name);
  const startedMs = performance.now();
  warren.git(warren.home, 'clone', '-q', '--no-local', source, folder);
  const submodules = modules.map((module) => {
    const [path = '', url = ''] = module.split('=');
    warren.git(folder, 'config', `submodule.${path}.url`, url);
    warren.git(folder, '-c', 'protocol.file.allow=always', 'submodule', '-q', 'update', '--init', path);
    return path;
  });
  return { folder, cloneMs: performance.now() - startedMs, submodules };
}

async function journey(what: Cloned & { name: string; mibPerSecond: number }): Promise<void> {
  const { name, folder, cloneMs, submodules, mibPerSecond } = what;
  const file = /^100644 \S+ 0\t(.+)$/m.exec(warren.git(folder, 'ls-files', '-s'))![1]!;
  const [up, upMs] = await timed(() => warren.json<UpResult>(['up', '--name', name], { cwd: folder }));
  for (const path of submodules) {
    const inside = await warren.sh(
      name,
      `git -C '${path}' rev-parse HEAD && git -C '${path}' status --porcelain`,
    );
    assert.equal(inside, warren.git(join(folder, path), 'rev-parse', 'HEAD'));
  }
  assert.equal(await warren.sh(name, 'git status --porcelain'), '');
  assert.equal(
    await warren.sh(name, 'git rev-list --count HEAD'),
    warren.git(folder, 'rev-list', '--count', 'HEAD@{upstream}'),
  );

  await warren.sh(
    name,
    `for i in $(seq ${COMMITS}); do echo "${name} $i" >> '${name}.txt'; echo $i >> '${file}'; git add '${name}.txt'; git commit -qm "${name} $i" -- '${name}.txt' || exit 1; done; git checkout -q -- '${file}'`,
  );
  if (values['kill-daemon']) {
    await killDaemon();
    const dying = warren.run(['fetch', name], { cwd: folder });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await killDaemon();
    await dying;
  }
  const [, fetchMs] = await timed(() => warren.ok(['fetch', name], { cwd: folder }));
  const tip = warren.git(folder, 'rev-parse', `refs/warren/${name}/warren/${name}`).trim();
  const gitFetchMs = gitFetch(folder, name, tip);
  const mergeMs = await merge(name, folder);
  const log = warren.git(folder, 'log', '--format=%s');
  for (let nr = 1; nr <= COMMITS; nr++)
    assert.ok(log.includes(`${name} ${nr}\n`), `${name} ${nr} is not on the host`);
  assert.equal(warren.git(folder, 'status', '--porcelain', '-uno'), '');
  await warren.ok(['rm', name]);
  assert.ok(!(await warren.ok(['ls'])).includes(`${name} `));

  const packMib = packSize(folder);
  const peerMs = cloneMs + (packMib / mibPerSecond) * 1000;
  const repoMs = up.timings['repoMs'] ?? Number.NaN;
  const commits = warren.git(folder, 'rev-list', '--count', 'HEAD').trim();
  rows.push([
    name,
    commits,
    packMib.toFixed(0),
    ms(upMs),
    ms(repoMs),
    ms(peerMs),
    (upMs / peerMs).toFixed(2),
    ms(fetchMs),
    ms(gitFetchMs),
    ms(mergeMs),
  ]);
  console.error(`${name}: done`);
}

/** Merges change one working tree: one after another, as git's own lock would have it. */
function merge(name: string, folder: string): Promise<number> {
  const mine = merging.then(async () => (await timed(() => warren.ok(['merge', name], { cwd: folder })))[1]);
  merging = mine.catch(() => {});
  return mine;
}

/** What git needs to fetch the same commits from one clone on this computer into another. */
function gitFetch(folder: string, name: string, tip: string): number {
  const other = join(warren.home, `peer-${name}`);
  const base = warren.git(folder, 'merge-base', 'HEAD@{upstream}', tip).trim();
  warren.git(warren.home, 'init', '-q', other);
  warren.git(other, 'fetch', '-q', folder, `${base}:refs/heads/base`);
  const startedMs = performance.now();
  warren.git(other, 'fetch', '-q', folder, `refs/warren/${name}/warren/${name}`);
  return performance.now() - startedMs;
}

async function killDaemon(): Promise<void> {
  const { pid } = await warren.json<DaemonInfo>(['daemon', 'status']);
  process.kill(pid, 'SIGKILL');
}

async function channelSpeed(): Promise<number> {
  const file = join(warren.home, 'probe.bin');
  writeFileSync(file, randomBytes(PROBE_MIB * 1024 * 1024));
  await warren.ok(['run', '--no-repo', '--name', 'speed', '--', 'true']);
  await warren.ok(['exec', 'speed', '--', 'true']);
  const [, tookMs] = await timed(() => warren.ok(['cp', file, 'speed:/tmp/']));
  await warren.ok(['rm', '--force', 'speed']);
  return PROBE_MIB / (tookMs / 1000);
}

function packSize(folder: string): number {
  const counts = warren.git(folder, 'count-objects', '-v');
  const kib = Number(/size-pack: (\d+)/.exec(counts)?.[1]);
  return kib / 1024;
}

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const startedMs = performance.now();
  const value = await work();
  return [value, performance.now() - startedMs];
}

function ms(value: number): string {
  return value.toFixed(0);
}
