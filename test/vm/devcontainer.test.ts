// devcontainer.json as environments: found, built, its commands run where and when the specification says. The base image
// is a small Debian in Debian's docker-registry on loopback.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { SandboxDetail, UpResult } from '../../src/protocol/api.ts';
import { debianTree } from '../image/debian-image.ts';
import { makeImage, push } from '../image/make-image.ts';
import { type RunningRegistry, registryProgram, startRegistry } from '../image/registry-program.ts';
import { openWarren, removeAfter, until, write } from './harness.ts';
import { openTerminal } from './terminal.ts';

const found = registryProgram();
const missing = 'missing' in found && found.missing;
const warren = openWarren();

const up = async (cwd: string, name: string, flags: string[] = []) =>
  await warren.json<UpResult>(['up', '--name', name, ...flags], { cwd });
const settled = async (name: string) =>
  await until('its lifecycle', async () => {
    const { setup } = await warren.json<SandboxDetail>(['show', name]);
    return setup && setup.state !== 'running' ? setup : undefined;
  });

describe('a devcontainer.json', { skip: missing, timeout: 900_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'warren-devcontainer-'));
  let registry: RunningRegistry;
  let image: string;

  before(async () => {
    registry = await startRegistry((found as { program: string }).program, folder);
    const metadata = [
      { remoteUser: 'dev', containerEnv: { LABEL: 'said' }, postCreateCommand: 'echo label >> ~/order' },
    ];
    const config = {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      Labels: { 'devcontainer.metadata': JSON.stringify(metadata) },
    };
    await push(registry.url, 'dev', '1', makeImage([await debianTree()], config, { compression: 'none' }));
    image = `${registry.host}/dev:1`;
  });
  after(async () => {
    await registry?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('with an image: user, variables, commands in their order, mounts, ports and size', async (t) => {
    removeAfter(t, warren, 'app', 'app-2');
    const taken = createServer().listen(0, '127.0.0.1');
    t.after(() => taken.close());
    const repository = warren.repository('app', {
      '.devcontainer/devcontainer.json': `{
        // with a comment
        "image": "${image}",
        "workspaceFolder": "/workspaces/\${localWorkspaceFolderBasename}/sub",
        "containerEnv": { "FROM_CONTAINER": "\${containerWorkspaceFolder}" },
        "remoteEnv": { "PATH": "\${containerEnv:PATH}:/extra", "SECRET": "\${localEnv:WARREN_TEST_SECRET:default}" },
        "mounts": [ "type=tmpfs,target=/scratch", { "type": "volume", "source": "v", "target": "/data" } ],
        "onCreateCommand": "pwd > ~/order; echo onCreate >> ~/order; touch /data/created; nohup sleep 100000 >/dev/null 2>&1 &",
        "updateContentCommand": ["sh", "-c", "echo \\"$0\\" >> ~/order", "update content"],
        "postCreateCommand": { "a": "echo created >> ~/order; echo a says so", "b": ["true"] },
        "postStartCommand": "echo started >> ~/order",
        "postAttachCommand": "echo attached >> ~/order; echo welcome",
        "forwardPorts": [4567],
        "hostRequirements": { "memory": "1500mb" },
        "runArgs": ["--gpus", "all"], "privileged": true, "capAdd": ["SYS_PTRACE"], "init": true,
        "customizations": { "vscode": { "extensions": ["a.b"] } },
      }`,
      'sub/file.txt': 'here\n',
      'package-lock.json': '{}',
    });
    const first = await up(repository, 'app', []);
    assert.deepEqual(
      [first.sandbox.user, first.sandbox.workdir, first.sandbox.memoryMib],
      ['dev', '/workspaces/app/sub', 1500],
    );
    assert.equal(first.layers.at(-1)?.kind, 'prepared');
    assert.equal(first.layers.at(-1)?.reused, false);
    const notices = first.notices.join('\n');
    assert.match(notices, /runArgs: .*--gpus all/);
    assert.match(notices, /localEnv: WARREN_TEST_SECRET of this computer is not told/);
    assert.match(notices, /port 4567 of it is port \d+ of this computer/);
    assert.equal((await settled('app')).state, 'done');
    assert.equal(
      await warren.sh('app', 'cat ~/order'),
      '/workspaces/app/sub\nonCreate\nupdate content\nlabel\ncreated\nstarted\n',
    );
    assert.equal(
      await warren.sh(
        'app',
        'id -un; echo "$LABEL $FROM_CONTAINER $SECRET ${PATH##*:}"; cat file.txt; stat -f -c %T /scratch; ls -ld /data | cut -d" " -f3; ls /data',
      ),
      'dev\nsaid /workspaces/app/sub default /extra\nhere\ntmpfs\ndev\ncreated\n',
    );
    assert.match(await warren.ok(['logs', 'app', '--lifecycle']), /\[a\] a says so/);
    assert.equal(await warren.sh('app', 'git -C /workspaces/app status --porcelain'), '');

    const second = await up(repository, 'app-2');
    assert.deepEqual(
      second.layers.map(({ reused }) => reused),
      [true, true, true],
    );
    assert.equal((await settled('app-2')).state, 'done');
    assert.equal(
      await warren.sh('app-2', 'grep -c onCreate ~/order; grep -c created ~/order; pgrep -c sleep'),
      '1\n1\n1\n',
    );

    // After a boot: what the environment starts, and what is done at each start.
    await warren.ok(['stop', 'app']);
    await warren.ok(['start', 'app']);
    await until('its start', async () =>
      (await warren.sh('app', 'grep -c started ~/order')) === '2\n' ? true : undefined,
    );
    assert.equal(
      await warren.sh('app', 'grep -c "^created" ~/order; stat -f -c %T /scratch; ls /data'),
      '1\ntmpfs\ncreated\n',
    );

    const terminal = openTerminal(warren, ['shell', 'app']);
    t.after(() => terminal.close());
    await terminal.shows(/welcome[\s\S]*dev@/);
    assert.equal(await warren.sh('app', 'tail -1 ~/order'), 'attached\n');
  });

  it('with a Dockerfile, whose edit builds anew; waitFor waits, and a failure is told', async (t) => {
    removeAfter(t, warren, 'built', 'rebuilt', 'failing', 'endless');
    // The store of tests outlives them.
    const version = randomUUID();
    const repository = warren.repository('built', {
      '.devcontainer.json': JSON.stringify({
        build: { dockerfile: 'Dockerfile', args: { V: version } },
        waitFor: 'postCreateCommand',
        postCreateCommand: 'sleep 1; cat /version > ~/done',
      }),
      Dockerfile: `ARG V\nFROM ${image}\nARG V\nRUN echo "version $V" > /version\n`,
    });
    const first = await up(repository, 'built');
    assert.equal(first.sandbox.user, 'dev', 'the label of the base holds');
    assert.equal(first.sandbox.setup?.state, 'done');
    assert.equal(await warren.sh('built', 'cat ~/done'), `version ${version}\n`);
    write(repository, {
      '.devcontainer.json': JSON.stringify({
        build: { dockerfile: 'Dockerfile', args: { V: `${version}.2` } },
      }),
    });
    const again = await up(repository, 'rebuilt');
    assert.deepEqual(
      again.layers.map(({ kind, reused }) => [kind, reused]),
      [
        ['image', false],
        ['template', false],
      ],
    );
    assert.equal(await warren.sh('rebuilt', 'cat /version'), `version ${version}.2\n`);

    write(repository, {
      '.devcontainer.json': JSON.stringify({
        image,
        waitFor: 'postCreateCommand',
        postCreateCommand: { good: 'true', bad: 'echo oh no; exit 4' },
        postStartCommand: 'touch ~/never',
      }),
    });
    const failing = await up(repository, 'failing');
    assert.equal(failing.sandbox.setup?.state, 'failed');
    assert.match(
      failing.notices.join('\n'),
      /postCreateCommand.*exited with 4.*bad: failed with 4.*--lifecycle/,
    );
    assert.equal(await warren.sh('failing', 'ls ~/never 2>/dev/null || echo none'), 'none\n');

    write(repository, {
      '.devcontainer.json': JSON.stringify({
        image,
        postCreateCommand: ['sleep', '4321'],
        customizations: { warren: { timeout: 2 } },
      }),
    });
    await up(repository, 'endless');
    assert.match((await settled('endless')).why ?? '', /not done after 2 s/);
  });

  it('with features: installed on top, their commands first, what they start runs, and nothing leads out', async (t) => {
    removeAfter(t, warren, 'featured', 'featured-2', 'featured-3');
    const feature = {
      id: 'hello',
      version: '1.0.0',
      options: { greeting: { type: 'string', default: 'hey' } },
      containerEnv: { HELLO: 'yes' },
      postCreateCommand: 'echo of the feature >> ~/order',
      entrypoint: '/usr/local/share/hello-init.sh',
    };
    const devcontainer = (greeting: string) => ({
      image,
      features: { './hello': { greeting } },
      postCreateCommand: 'echo of the file >> ~/order',
      waitFor: 'postCreateCommand',
    });
    const repository = warren.repository('featured', {
      '.devcontainer/devcontainer.json': JSON.stringify(devcontainer('salut')),
      '.devcontainer/hello/devcontainer-feature.json': JSON.stringify(feature),
      '.devcontainer/hello/install.sh':
        '#!/bin/sh\nset -e\necho "$GREETING $_REMOTE_USER" > /usr/local/share/hello\nprintf "#!/bin/sh\\ntouch /run/hello-started\\nexec \\"\\$@\\"\\n" > /usr/local/share/hello-init.sh\nchmod +x /usr/local/share/hello-init.sh\n',
    });
    const first = await up(repository, 'featured');
    assert.equal(first.sandbox.setup?.state, 'done', JSON.stringify(first.sandbox.setup));
    assert.equal(
      await warren.sh(
        'featured',
        'cat /usr/local/share/hello; echo "$HELLO"; ls /run/hello-started; cat ~/order; id -un',
      ),
      'salut dev\nyes\n/run/hello-started\nlabel\nof the feature\nof the file\ndev\n',
    );
    const second = await up(repository, 'featured-2');
    assert.deepEqual(
      second.layers.map(({ reused }) => reused),
      [true, true],
    );
    write(repository, { '.devcontainer/devcontainer.json': JSON.stringify(devcontainer('hola')) });
    await up(repository, 'featured-3');
    assert.equal(await warren.sh('featured-3', 'cat /usr/local/share/hello'), 'hola dev\n');

    symlinkSync('/etc/hostname', join(repository, '.devcontainer/hello/stolen'));
    const led = await warren.fails(['up', '--detach', '--name', 'x'], 'environment.features', {
      cwd: repository,
    });
    assert.match(led.stderr, /stolen is neither a file nor a folder/);
    for (const [name, why] of [
      ['../../outside', /not below the folder/],
      ['./missing', /is not there/],
      ['127.0.0.1:1/no/feature:1', /cannot resolve the features/],
    ] as const) {
      write(repository, {
        '.devcontainer/devcontainer.json': JSON.stringify({ image, features: { [name]: {} } }),
      });
      const { stderr } = await warren.fails(['up', '--detach', '--name', 'x'], 'environment.features', {
        cwd: repository,
      });
      assert.match(stderr, why);
    }
  });

  it('wants a command run on this computer: nobody runs it unasked', async (t) => {
    removeAfter(t, warren, 'asked', 'asked-2', 'asked-3', 'asked-4');
    const repository = warren.repository('asked', {
      '.devcontainer/devcontainer.json': JSON.stringify({ image, initializeCommand: './init.sh' }),
      'init.sh': '#!/bin/sh\necho ran >> ../ran\n',
    });
    warren.git(repository, 'update-index', '--chmod=+x', 'init.sh');
    chmodSync(join(repository, 'init.sh'), 0o755);
    const ran = join(repository, '../ran');
    const unasked = await warren.run(['up', '--detach', '--name', 'asked'], { cwd: repository });
    assert.equal(unasked.code, 0, unasked.stderr);
    assert.match(
      unasked.stderr,
      /wants this run on this computer.*\n {2}\| \.\/init\.sh[\s\S]*that was not done: warren up --initialize/,
    );
    assert.ok(!existsSync(ran));
    await warren.ok(['up', '--detach', '--name', 'asked-2', '--initialize'], { cwd: repository });
    assert.equal(readFileSync(ran, 'utf8'), 'ran\n');
    // Remembered, until the content of what it runs is another.
    const known = await warren.run(['up', '--detach', '--name', 'asked-3'], { cwd: repository });
    assert.doesNotMatch(known.stderr, /wants this run/);
    assert.equal(readFileSync(ran, 'utf8'), 'ran\nran\n');
    write(repository, { 'init.sh': '#!/bin/sh\necho other >> ../ran\n' });
    const changed = await warren.run(['up', '--detach', '--name', 'asked-4'], { cwd: repository });
    assert.match(changed.stderr, /that was not done/);
    assert.equal(readFileSync(ran, 'utf8'), 'ran\nran\n');
    await warren.ok(['rm', '--force', 'asked-4']);
    write(repository, { 'init.sh': '#!/bin/sh\nexit 3\n' });
    await warren.fails(
      ['up', '--detach', '--name', 'asked-4', '--initialize'],
      'environment.initialize-failed',
      { cwd: repository },
    );
  });

  it('wants files of this computer: a copy goes in once a person said so', async (t) => {
    removeAfter(t, warren, 'binding', 'binding-2', 'binding-3');
    const repository = warren.repository('binding', {
      '.devcontainer.json': JSON.stringify({
        image,
        mounts: [
          'source=${localEnv:HOME}/wanted,target=/home/dev/wanted,type=bind',
          { type: 'bind', source: '/nowhere/at/all', target: '/gone' },
        ],
        waitFor: 'postCreateCommand',
        postCreateCommand: 'cat ~/wanted/file > ~/seen || true',
      }),
    });
    write(warren.home, { 'wanted/file': 'of this computer\n', outside: 'not asked for' });
    symlinkSync('../outside', join(warren.home, 'wanted/link'));
    const unasked = await up(repository, 'binding');
    assert.match(unasked.notices.join('\n'), /wanted of this computer is not in the machine/);
    assert.equal(await warren.sh('binding', 'ls ~/wanted 2>/dev/null || echo none'), 'none\n');
    const allowed = await up(repository, 'binding-2', ['--initialize']);
    assert.equal(
      await warren.sh('binding-2', 'cat ~/seen; readlink ~/wanted/link; stat -c %U ~/wanted/file'),
      'of this computer\n../outside\ndev\n',
    );
    assert.match(allowed.notices.join('\n'), /\/nowhere\/at\/all was not copied/);
    await up(repository, 'binding-3');
    assert.equal(await warren.sh('binding-3', 'cat ~/seen'), 'of this computer\n', 'remembered');
  });

  it('is started and stopped though what it does at each start never ends', async (t) => {
    removeAfter(t, warren, 'forever');
    const repository = warren.repository('forever', {
      '.devcontainer.json': JSON.stringify({
        image,
        waitFor: 'postStartCommand',
        postStartCommand: '[ ! -e ~/again ] || sleep 3600; touch ~/again',
      }),
    });
    assert.equal((await up(repository, 'forever')).sandbox.setup?.state, 'done');
    await warren.ok(['stop', 'forever']);
    await warren.ok(['start', 'forever']);
    await until('its command', async () => {
      const { setup } = await warren.json<SandboxDetail>(['show', 'forever']);
      return setup?.state === 'running' ? true : undefined;
    });
    await warren.ok(['stop', 'forever']);
    assert.equal((await settled('forever')).state, 'failed');
  });

  it('that makes no sense is refused with the place', async () => {
    const repository = warren.repository('refused', {
      '.devcontainer/a/devcontainer.json': '{"image": "x"}',
      '.devcontainer/b/devcontainer.json': '{"image": "x",\n "dockerComposeFile": "c.yml"}',
    });
    const several = await warren.fails(['up', '--detach'], 'environment.devcontainer', { cwd: repository });
    assert.match(several.stderr, /--env \.\/\.devcontainer\/a\/devcontainer\.json/);
    const compose = await warren.fails(
      ['up', '--detach', '--env', './.devcontainer/b/devcontainer.json'],
      'environment.devcontainer',
      { cwd: repository },
    );
    assert.match(compose.stderr, /devcontainer\.json:2:23: several containers/);
    assert.deepEqual(await warren.json(['ls']), []);
  });
});
