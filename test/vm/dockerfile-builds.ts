// Builds of Dockerfiles in a Warren with a store of its own, for what it holds is looked through. The base image is one
// static program, in Debian's docker-registry on loopback.

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach } from 'node:test';
import { staticBusybox } from '../image/debian-program.ts';
import { busyboxEntries, makeImage, makeTar, push } from '../image/make-image.ts';
import { registryProgram, startRegistry } from '../image/registry-program.ts';
import { openDoorWarren } from './door-origins.ts';
import { type Ended, processes, until, write } from './harness.ts';

const found = registryProgram();
const box = staticBusybox();
const noBusybox = 'missing' in box && box.missing;
export const busybox = 'program' in box ? box.program : '';
/** Why there can be no builds here, or false. */
export const missing = 'missing' in found ? found.missing : noBusybox;
export const warren = openDoorWarren();
export const store = mkdtempSync(join(tmpdir(), 'warren-build-test-'));
after(() => rmSync(store, { recursive: true, force: true }));
// The kernel need not be fetched again for a store of one's own.
const shared = warren.env['WARREN_STORE']!;
warren.env['WARREN_STORE'] = store;
for (const kept of ['kernels', 'accelerator.json'])
  if (existsSync(join(shared, kept)))
    cpSync(join(shared, kept), join(store, kept), { recursive: true, preserveTimestamps: true });

/** The base image's name, once `serveBase` has run; its context folder is new in each test. */
export const now = { base: '', folder: '' };
export const BUILD = ['template', 'build', '--env', './Dockerfile'];
let nr = 0;

/** To be called in a `describe`. */
export function serveBase(): void {
  let stop = () => {};
  before(async () => {
    const registry = await startRegistry((found as { program: string }).program, join(store, '.registry'));
    stop = () => registry.stop();
    const layer = await makeTar([
      ...busyboxEntries(busybox),
      { name: 'opt/low/a', content: 'a' },
      { name: 'opt/low/b', content: 'b' },
      { name: 'opt/gone', content: 'x' },
    ]);
    const config = { Env: ['PATH=/bin', 'FROM_BASE=yes'], OnBuild: ['ENV TRIGGERED=yes'] };
    await push(registry.url, 'base', '1', makeImage([layer], config));
    now.base = `${registry.host}/base:1`;
  });
  after(() => stop());
  beforeEach(() => {
    now.folder = join(warren.home, `context-${nr++}`);
  });
}

/** Builds and answers what was shown; `code` 0 is expected unless `fails` names an error. */
export async function build(
  files: Record<string, string>,
  flags: string[] = [],
  { fails, env }: { fails?: string; env?: Record<string, string> } = {},
): Promise<Ended> {
  write(now.folder, files);
  const args = [...BUILD, '--progress', 'plain', ...flags];
  const ended = await warren.run(args, { cwd: now.folder, ...(env && { env }) });
  if (fails === undefined) assert.equal(ended.code, 0, ended.stderr);
  else assert.match(ended.stderr, new RegExp(`\\[${fails.replace('.', '\\.')}\\]`));
  assert.doesNotMatch(ended.stderr, /^\s+at .*:\d+:\d+/m);
  await nothingIsLeft();
  return ended;
}

/** A process that was killed is in /proc for a moment more. */
export async function nothingIsLeft(): Promise<void> {
  await until('the folder is gone', () => building().length === 0);
  await until('the machine is gone', () => vmms().length === 0);
}

function building(): string[] {
  const builds = join(warren.data, 'builds');
  return existsSync(builds) ? readdirSync(builds) : [];
}

/** The boxes of this Warren's builders: their arguments name its home. */
export function vmms(): number[] {
  return processes(
    (args) =>
      args.some((arg) => arg.startsWith('warren-build-')) && args.some((arg) => arg.includes(warren.home)),
  );
}

/** The VMMs in those boxes, by the name that both have. */
export function vmmsInside(): number[] {
  const names = new Set(building().map((id) => `warren-${id}`));
  return processes((args) => names.has(args[args.indexOf('-name') + 1] ?? ''));
}

/** A step has said so, in the log that each build begins anew. */
export function stepRuns(): boolean {
  const log = join(store, 'build.log');
  return vmms().length > 0 && existsSync(log) && readFileSync(log, 'utf8').includes('\nSTARTED');
}

/** What really ran, of what was shown. */
export function ran({ stderr }: Ended): string[] {
  return [...stderr.matchAll(/^ +\[(?:\w+ )?\d+\/\d+\] (.*)…$/gm)]
    .map(([, text]) => text!)
    .filter((text) => !text.endsWith(' (cached)'));
}
