// The user's own engine as a builder: what it is told, and with a real one what becomes of the image.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { DockerfileEnvironment } from '../../src/environment/index.ts';
import { buildWithEngine, planBuild, planSave } from '../../src/image/engine.ts';
import type { BuildWish } from '../../src/protocol/build.ts';
import { staticBusybox } from './debian-program.ts';

const build: BuildWish = {
  builder: 'docker',
  args: { B: '2' },
  target: null,
  contexts: {},
  secrets: {},
  ssh: {},
  noCache: false,
  debug: false,
};
const environment: DockerfileEnvironment = {
  kind: 'dockerfile',
  file: '/repo/Dockerfile',
  context: '/repo',
  target: 'dev',
  args: { A: '1', B: '1' },
  contexts: { lib: '/lib' },
};

describe('an engine', () => {
  it('is told what was asked, and no more', () => {
    assert.deepEqual(
      planBuild({ engine: 'docker', environment, build, fresh: true }, new Map([['t', '/s/0']]), '/s/id'),
      [
        ...[
          'build',
          '--progress',
          'plain',
          '--iidfile',
          '/s/id',
          '--file',
          '/repo/Dockerfile',
          '--target',
          'dev',
        ],
        ...['--build-arg', 'A=1', '--build-arg', 'B=2', '--build-context', 'lib=/lib'],
        ...['--secret', 'id=t,src=/s/0', '--pull', '/repo'],
      ],
    );
    const wish = { ...build, target: 'other', noCache: true, ssh: { default: '/run/agent' } };
    const told = planBuild({ engine: 'buildah', environment, build: wish, fresh: false }, new Map(), '/s/id');
    assert.deepEqual(told.slice(0, 2), ['build', '--layers']);
    assert.equal(told[told.indexOf('--ssh') + 1], 'default=/run/agent');
    assert.ok(told.includes('other') && told.includes('--no-cache') && !told.includes('--pull'));
    assert.deepEqual(planSave('buildah', 'sha256:a', '/s/x'), [
      'push',
      '--quiet',
      'sha256:a',
      'docker-archive:/s/x',
    ]);
    assert.deepEqual(planSave('docker', 'sha256:a', '/s/x'), ['save', '--output', '/s/x', 'sha256:a']);
  });

  it('that is not there is named, with the way out', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'warren-engine-'));
    after(() => rmSync(folder, { recursive: true, force: true }));
    const path = process.env['PATH'];
    process.env['PATH'] = folder;
    try {
      await assert.rejects(make(folder, 'podman', environment), {
        code: 'build.engine-failed',
        message: 'cannot build with podman: it is not installed',
      });
    } finally {
      process.env['PATH'] = path;
    }
  });

  const isThere = spawnSync('buildah', ['--version']).status === 0;
  const box = staticBusybox();
  const missing = isThere ? 'missing' in box && box.missing : 'buildah is not installed here';
  it('builds, and its image is taken with all that it says (buildah)', { skip: missing }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'warren-engine-'));
    after(() => rmSync(folder, { recursive: true, force: true }));
    copyFileSync('program' in box ? box.program : '', join(folder, 'busybox'));
    const file = join(folder, 'Dockerfile');
    writeFileSync(file, 'FROM scratch\nCOPY busybox /bin/busybox\nENV A=b\nUSER 5\nWORKDIR /w\n');
    const here = { ...environment, file, context: folder, target: null, args: {}, contexts: {} };
    const image = await make(folder, 'buildah', here);
    assert.deepEqual([image.config.user, image.config.workdir, image.config.env['A']], ['5', '/w', 'b']);
    assert.equal((await make(folder, 'buildah', here)).id, image.id);
  });
});

async function make(folder: string, engine: 'podman' | 'buildah', of: DockerfileEnvironment) {
  return await buildWithEngine({
    store: join(folder, 'store'),
    engine,
    environment: of,
    build: { ...build, args: {} },
    fresh: false,
    scratchFolder: mkdtempSync(join(folder, 'scratch-')),
    signal: new AbortController().signal,
    onProgress: () => {},
  });
}
