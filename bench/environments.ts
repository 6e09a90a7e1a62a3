// Real repositories with a devcontainer.json of their own, adapted only in the image that it names: a Debian made here, in
// Debian's docker-registry on loopback, stands in for one that a registry on the internet has. And what preparing saves.
//
//   npm run bench -- environments NODE-REPOSITORY PYTHON-REPOSITORY [REPEATS]
//
// NODE-REPOSITORY: a clone of microsoft/vscode-remote-try-node; PYTHON-REPOSITORY: of microsoft/vscode-remote-try-python.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SandboxDetail, UpResult } from '../src/protocol/api.ts';
import { debianTree } from '../test/image/debian-image.ts';
import { makeImage, push } from '../test/image/make-image.ts';
import { registryProgram, startRegistry } from '../test/image/registry-program.ts';
import { until, Warren } from '../test/vm/harness.ts';

const [node, python, repeats = '5'] = process.argv.slice(2);
assert.ok(node && python, 'name both repositories');
const found = registryProgram();
assert.ok('program' in found, 'docker-registry is needed');
const folder = mkdtempSync(join(tmpdir(), 'warren-bench-environments-'));
const warren = new Warren();
warren.env['WARREN_STORE'] = join(folder, 'store');
const registry = await startRegistry(found.program, join(folder, 'registry'));
const rows: [what: string, figure: string][] = [];

try {
  mkdirSync(join(warren.home, '.config/warren'), { recursive: true });
  const hosts = ['registry.npmjs.org', 'pypi.org', 'files.pythonhosted.org'];
  const allow = hosts.map((host) => ({ host, registry: 'read', allowPrivate: true }));
  writeFileSync(join(warren.home, '.config/warren/config.json'), JSON.stringify({ egress: { allow } }));
  const tree = await debianTree(['nodejs', 'npm', 'python3-pip']);
  const config = { Env: ['PATH=/home/dev/.local/bin:/usr/local/bin:/usr/bin:/bin'], User: 'dev' };
  await push(registry.url, 'dev', '1', makeImage([tree], config, { compression: 'none' }));
  await journey('node', node, 'node server.js', 3000, /Hello/);
  await journey('python', python, 'python3 -m flask run -p 9000', 9000, /./);
  await firstTest();
  await ratio(Number(repeats));
} finally {
  await warren.close();
  await registry.stop();
  rmSync(folder, { recursive: true, force: true });
}
const width = Math.max(...rows.map(([what]) => what.length));
for (const [what, figure] of rows) console.log(`${what.padEnd(width)}  ${figure}`);

/** A clone as a developer has it, the image's name replaced and nothing else. */
function clone(source: string, name: string): string {
  const at = join(warren.home, name);
  warren.git(warren.home, 'clone', '-q', source, at);
  const file = join(at, '.devcontainer/devcontainer.json');
  const text = readFileSync(file, 'utf8');
  const adapted = text.replace(/("image":\s*")[^"]*/, `$1${registry.host}/dev:1`);
  assert.notEqual(adapted, text);
  writeFileSync(file, adapted);
  warren.git(at, 'commit', '-qam', 'an image that is here');
  return at;
}

async function journey(
  name: string,
  source: string,
  serve: string,
  port: number,
  says: RegExp,
): Promise<void> {
  const at = clone(source, name);
  const startedMs = performance.now();
  await up(at, name);
  const { setup } = await until(
    'its lifecycle',
    async () => {
      const shown = await warren.json<SandboxDetail>(['show', name]);
      return shown.setup && shown.setup.state !== 'running' ? shown : undefined;
    },
    600_000,
  );
  assert.equal(setup?.state, 'done', setup?.why ?? '');
  rows.push([
    `${name}: first up to the end of its postCreateCommand`,
    seconds(performance.now() - startedMs),
  ]);
  await warren.sh(name, `nohup ${serve} >/tmp/serve.log 2>&1 &`);
  const page = await until('its page', async () => {
    const { stdout } = await warren.run(['exec', name, '--', 'curl', '-sS', `http://127.0.0.1:${port}/`]);
    return says.test(stdout) ? stdout : undefined;
  });
  assert.ok(page.length > 0);
  await warren.sh(name, 'echo "one line more" >> README.md && git commit -qam "from the guest"');
  await warren.ok(['merge', name], { cwd: at });
  assert.equal(warren.git(at, 'log', '-1', '--format=%s').trim(), 'from the guest');
  await warren.ok(['rm', '--force', name]);
}

/** From nothing to a test that passes, with `npm ci` prepared. */
async function firstTest(): Promise<void> {
  const at = clone(node!, 'app');
  const file = join(at, 'warren.json');
  writeFileSync(file, JSON.stringify({ prepare: { run: 'npm ci', inputs: ['package-lock.json'] } }));
  writeFileSync(
    join(at, 'test.js'),
    "const assert = require('node:assert'); assert.equal(typeof require('express')().listen, 'function'); console.log('passed');\n",
  );
  warren.git(at, 'add', '-A');
  warren.git(at, 'commit', '-qm', 'a test');
  const toTest = async (what: string, name: string) => {
    const startedMs = performance.now();
    const { layers } = await up(at, name);
    assert.equal(await warren.sh(name, 'node test.js'), 'passed\n');
    const made = layers.filter(({ reused }) => !reused).map(({ kind }) => kind);
    const took = seconds(performance.now() - startedMs);
    rows.push([`first passing test, ${what}`, `${took} (made: ${made.join(', ') || 'nothing'})`]);
    await warren.ok(['rm', '--force', name]);
  };
  await warren.ok(['template', 'rm', '--all']);
  await toTest('cold: the image is known', 'cold');
  await toTest('warm', 'warm');
  writeFileSync(join(at, 'more.js'), '// more\n');
  warren.git(at, 'add', '-A');
  warren.git(at, 'commit', '-qm', 'more');
  await toTest('new commit, lockfile unchanged', 'commit');
  const lock = join(at, 'package-lock.json');
  writeFileSync(lock, readFileSync(lock, 'utf8').replace(/\n$/, '\n\n'));
  warren.git(at, 'commit', '-qam', 'a lockfile that is another');
  await toTest('new commit, lockfile changed (downloads kept)', 'lock');
}

/** A whole `up` with everything known, against the built-in environment's; one after the other, so that both see the same. */
async function ratio(times: number): Promise<void> {
  const custom = join(warren.home, 'app');
  const plain = warren.repository('plain', { 'a.txt': 'one\n' });
  const samples: { custom: number[]; plain: number[] } = { custom: [], plain: [] };
  for (let nr = -1; nr < times; nr++) {
    for (const [kind, at] of [
      ['plain', plain],
      ['custom', custom],
    ] as const) {
      const startedMs = performance.now();
      await up(at, `${kind}${nr + 1}`);
      if (nr >= 0) samples[kind].push(performance.now() - startedMs);
      await warren.ok(['rm', '--force', `${kind}${nr + 1}`]);
    }
  }
  const [a, b] = [median(samples.plain), median(samples.custom)];
  rows.push(['up, built-in environment', `${a.toFixed(0)} ms`]);
  rows.push(['up, devcontainer.json prepared', `${b.toFixed(0)} ms (ratio ${(b / a).toFixed(2)})`]);
}

async function up(cwd: string, name: string): Promise<UpResult> {
  return await warren.json<UpResult>(['up', '--name', name], { cwd });
}

function median(values: number[]): number {
  return [...values].sort((x, y) => x - y)[Math.floor(values.length / 2)]!;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
