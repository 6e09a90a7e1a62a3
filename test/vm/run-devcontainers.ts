// Runs the configurations of devcontainers/cli's own tests in machines, and prints "N of M run": those that need neither
// Compose nor a feature that is elsewhere. A small Debian of this computer's own architecture stands in for every image that
// they name, with the users that such images have; nothing else is changed. Slow: a machine each, some two.
//
//   node test/vm/run-devcontainers.ts FOLDER [PART-OF-A-NAME]      FOLDER: src/test of a checkout of devcontainers/cli

import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parse } from 'jsonc-parser';
import type { SandboxDetail, UpResult } from '../../src/protocol/api.ts';
import { debianTree } from '../image/debian-image.ts';
import { makeImage, makeTar, push } from '../image/make-image.ts';
import { registryProgram, startRegistry } from '../image/registry-program.ts';
import { until, Warren } from './harness.ts';

const [folder, part = ''] = process.argv.slice(2);
const found = registryProgram();
if (folder === undefined || 'missing' in found) {
  console.error('missing' in found ? found.missing : 'usage: node test/vm/run-devcontainers.ts FOLDER');
  process.exit(2);
}

const USERS = ['node', 'vscode', 'codespace'];
/** Its commands are no programs: it has to fail with the first. */
const FAILS = 'configs/image-metadata/.devcontainer/devcontainer.json';
const warren = new Warren();
const registry = await startRegistry(found.program, join(warren.home, 'registry'));
const image = `${registry.host}/stand-in:1`;
await push(registry.url, 'stand-in', '1', await standIn());
let passed = 0;
let all = 0;
try {
  for (const { file, root } of configurations(folder)) {
    const name = `c${all++}`;
    const ran = await run(name, root, file.slice(root.length + 1));
    const why = file.endsWith(FAILS) && /exited with 127/.test(ran ?? '') ? null : ran;
    if (why === null) passed++;
    console.log(
      `${why === null ? 'ran' : 'not'}: ${file.slice(folder.length + 1)}${why === null ? '' : `\n  ${why}`}`,
    );
  }
} finally {
  await registry.stop();
  await warren.close();
}
console.log(`${passed} of ${all} configurations run`);

function* configurations(below: string): Generator<{ file: string; root: string }> {
  for (const path of readdirSync(below, { recursive: true, encoding: 'utf8' }).sort()) {
    if (!/(?:^|\/)\.?devcontainer\.json$/.test(path) || !path.includes(part)) continue;
    const file = join(below, path);
    const said = parse(readFileSync(file, 'utf8'));
    const elsewhere = neededBelow(dirname(file), said).some((name) => !name.startsWith('./'));
    const isTemplate = JSON.stringify(said).includes('${templateOption:');
    const isWhole = said.image ?? said.dockerFile ?? said.build?.dockerfile;
    if (!isWhole || elsewhere || isTemplate || /invalid|lockfile/.test(path)) continue;
    let root = dirname(file);
    if (dirname(path).includes('.devcontainer'))
      while (basename(root) !== '.devcontainer') root = dirname(root);
    yield { file, root: basename(root) === '.devcontainer' ? dirname(root) : root };
  }
}

/** Features, and what those beside the file depend on. */
function neededBelow(below: string, said: { features?: object }): string[] {
  const own = readdirSync(below, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('devcontainer-feature.json'),
  );
  const needed = own.map((path) => parse(readFileSync(join(below, path), 'utf8'))?.dependsOn ?? {});
  return [said.features ?? {}, ...needed].flatMap((each) => Object.keys(each));
}

/** null: up, and all of its commands went well. */
async function run(name: string, from: string, file: string): Promise<string | null> {
  const repository = join(warren.home, name);
  cpSync(from, repository, { recursive: true });
  for (const path of readdirSync(repository, { recursive: true, encoding: 'utf8' })) {
    const place = join(repository, path);
    if (statSync(place).isFile()) writeFileSync(place, stoodIn(basename(path), readFileSync(place)));
  }
  try {
    warren.git(repository, 'init', '-q', '-b', 'main');
    warren.git(repository, 'add', '-Af');
    warren.git(repository, 'commit', '-q', '-m', 'first');
    const flags = ['--name', name, '--env', join(repository, file), '--initialize'];
    await warren.json<UpResult>(['up', ...flags], { cwd: repository });
    const setup = await until(
      'its commands',
      async () => {
        const { setup: now } = await warren.json<SandboxDetail>(['show', name]);
        return now?.state === 'running' ? undefined : (now ?? { state: 'done', why: null });
      },
      300_000,
    );
    return setup.state === 'done' ? null : `${setup.why}`;
  } catch (error) {
    return (error as Error).message.split('\n').slice(-14).join('\n  ');
  } finally {
    await warren.run(['rm', '--force', name]);
    rmSync(repository, { recursive: true, force: true });
  }
}

/** Images by ours; stages of a Dockerfile stay. */
function stoodIn(name: string, bytes: Buffer): Buffer | string {
  if (/devcontainer\.json$/.test(name))
    return bytes.toString().replace(/("image"\s*:\s*)"[^"]*"/g, `$1"${image}"`);
  if (!/Dockerfile/.test(name)) return bytes;
  const stages = new Set<string>();
  return bytes.toString().replace(/^FROM\s+(?:--\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?/gim, (line, base, stage) => {
    const known = stages.has(base) || base === 'scratch';
    if (stage) stages.add(stage);
    return known ? line : `FROM ${image}${stage ? ` AS ${stage}` : ''}`;
  });
}

async function standIn() {
  const more = USERS.map((user, nr) => `${user}:x:${2000 + nr}:${2000 + nr}::/home/${user}:/bin/bash\n`).join(
    '',
  );
  const groups = USERS.map((user, nr) => `${user}:x:${2000 + nr}:\n`).join('');
  const tree = await debianTree();
  const layer = await makeTar([
    { name: 'etc/passwd', content: textIn(tree, 'etc/passwd') + more },
    { name: 'etc/group', content: textIn(tree, 'etc/group') + groups },
    ...USERS.map((user, nr) => ({ name: `home/${user}/`, uid: 2000 + nr, gid: 2000 + nr })),
  ]);
  const Env = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];
  return makeImage([tree, layer], { Env }, { compression: 'none' });
}

/** Of a tar, whose headers are 512 bytes before each content. */
function textIn(tar: Buffer, name: string): string {
  for (let at = 0; at + 512 <= tar.length; ) {
    const field = (from: number, length: number) =>
      tar.toString('latin1', at + from, at + from + length).replace(/\0.*$/s, '');
    const size = Number.parseInt(field(124, 12), 8) || 0;
    if (field(0, 100).replace(/^\.\//, '') === name) return tar.toString('utf8', at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  throw new Error(`there is no ${name}`);
}
