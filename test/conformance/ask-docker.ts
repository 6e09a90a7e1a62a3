// Makes cases.jsonl anew: what Docker's BuildKit makes of each case. Needs a Docker with buildx in PATH, and nothing of it is
// needed otherwise: `node test/conformance/ask-docker.ts EXTRACTED.json WORK-FOLDER`. The first is what stands in
// buildah's table, each context written out.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readConfig, writeConfig } from '../../src/environment/dockerfile/config-json.ts';
import { staticBusybox } from '../image/debian-program.ts';
import { BASE_ENV, baseTar } from './base.ts';
import { type Case, type CaseFile, type Cases, type Expected, writeCases, writeContext } from './cases.ts';
import { differences, listTars } from './listing.ts';

interface Extracted {
  name: string;
  dockerfile: string;
  transient?: boolean;
  args?: Record<string, string>;
  files: CaseFile[];
}

const [extractedFile = '', work = ''] = process.argv.slice(2);
let asked = 0;
const SOURCE =
  'github.com/containers/buildah 5b1b18eebdc249bf445fe58b6f3d82fa91f35cf7, tests/conformance (Apache-2.0)';
/** Several lines fail at once, and which is told is chance. */
const SEVERAL_FAIL = [
  'dockerignore-allowlist-alternating-nothing',
  'dockerignore-allowlist-alternating-other',
];
/** What a local image stands for. */
const BASES = [
  'mirror.gcr.io/busybox',
  'mirror.gcr.io/alpine',
  'quay.io/libpod/centos:7',
  'quay.io/libpod/busybox',
];

const box = staticBusybox();
if ('missing' in box) throw new Error(box.missing);
const base = join(work, 'base.tar');
writeFileSync(base, await baseTar(box.program));
for (const name of BASES) docker(['import', '-c', `ENV ${BASE_ENV[0]}`, base, name]);
const baseLines = await listTars([await built('base', writeBase(), 'Dockerfile', {})]);

const result: Cases = { source: SOURCE, made: '', cases: [], leftOut: [] };
result.made = `Docker ${docker(['version', '--format', '{{.Server.Version}}']).trim()} of Debian, BuildKit; base: busybox-static`;
const seen = new Map<string, number>();
for (const extracted of JSON.parse(readFileSync(extractedFile, 'utf8')) as Extracted[]) {
  const count = (seen.get(extracted.name) ?? 0) + 1;
  seen.set(extracted.name, count);
  const name = count === 1 ? extracted.name : `${extracted.name} (${count})`;
  if (extracted.transient) {
    result.leftOut.push({ name, why: 'mounts of the host, which are buildah’s own' });
    continue;
  }
  const files = extracted.files.map((file) =>
    file.path === extracted.dockerfile ? { ...file, text: portable(file.text ?? '') } : file,
  );
  const one: Omit<Case, 'expected'> = {
    name,
    dockerfile: extracted.dockerfile,
    args: extracted.args ?? {},
    files,
  };
  const expected = await ask(one);
  if ('why' in expected) result.leftOut.push({ name, why: expected.why });
  else result.cases.push({ ...one, expected });
  console.log(name, JSON.stringify(expected).slice(0, 150));
}
writeCases(result);
console.log(`${result.cases.length} cases, ${result.leftOut.length} left out`);

/** The base has no digest here, and no frontend is fetched. */
function portable(text: string): string {
  return text
    .replaceAll(/(mirror\.gcr\.io\/busybox)@sha256:[0-9a-f]+/g, '$1')
    .replaceAll(/(quay\.io\/libpod\/busybox)(\$\{TARGETARCH:\+)@sha256:[0-9a-f]+/g, '$1$2')
    .replace(/^# syntax=.*\n/, '# no other frontend\n');
}

function writeBase(): string {
  const folder = join(work, 'base-context');
  writeContext(folder, [{ path: 'Dockerfile', mode: '644', text: `FROM ${BASES[0]}\n` }]);
  return folder;
}

async function ask(one: Omit<Case, 'expected'>): Promise<Expected | { why: string }> {
  // BuildKit takes a file of the same path, size and time for the one that it saw there before.
  const folder = join(work, `context-${asked++}`);
  rmSync(folder, { recursive: true, force: true });
  writeContext(folder, one.files);
  try {
    const tar = await built('case', folder, one.dockerfile, one.args);
    const [{ Config }] = JSON.parse(docker(['image', 'inspect', 'case'])) as [{ Config: unknown }];
    const lines = await listTars([tar]);
    const isScratch = !lines.some((line) => line.endsWith(' /bin/busybox'));
    const changes = isScratch ? { tree: lines, gone: [] } : differences(lines, baseLines);
    return { ...changes, config: writeConfig(readConfig(Config)) };
  } catch (error) {
    const said = (error as Error).message;
    if (
      /pull|resolve source metadata|no such host|network|connection refused|not supported in|unknown flag/i.test(
        said,
      )
    )
      return { why: said.trim().split('\n').at(-1)!.slice(0, 200) };
    const [, line] = SEVERAL_FAIL.includes(one.name) ? [] : (/^\S+:(\d+)\n-{5}/m.exec(said) ?? []);
    console.log(said.slice(-600));
    return { failsAt: line === undefined ? null : Number(line) };
  }
}

/** Answers the tar of the image, which is called `tag` then. */
async function built(
  tag: string,
  folder: string,
  file: string,
  args: Record<string, string>,
): Promise<string> {
  const out = join(work, `${tag}-out.tar`);
  mkdirSync(work, { recursive: true });
  const common = [
    ...['buildx', 'build', '--provenance=false', '--network=host', '-f', join(folder, file)],
    ...Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
  ];
  docker([...common, '--no-cache', '-t', tag, folder]);
  docker([...common, '-o', `type=tar,dest=${out}`, folder]);
  return out;
}

function docker(args: string[]): string {
  const ended = spawnSync('docker', args, { encoding: 'utf8', env: process.env, maxBuffer: 64 * 1024 ** 2 });
  if (ended.status !== 0) throw new Error(ended.stderr || String(ended.error));
  return ended.stdout;
}
