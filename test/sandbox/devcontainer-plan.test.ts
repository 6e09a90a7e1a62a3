// What a devcontainer.json means for a sandbox: variables, users, folders, and what waits for what.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { consentText } from '../../src/cli/initialize.ts';
import type { ImageSettings } from '../../src/image/index.ts';
import { namedFiles } from '../../src/sandbox/devcontainer/consent.ts';
import { planDevcontainer, readDevcontainer } from '../../src/sandbox/devcontainer/plan.ts';

const around = { root: '/home/ada/app', guestPath: '/workspaces/app', localEnv: { USER: 'ada' } };
const plain: ImageSettings = { user: 'root', workdir: '/', env: {} };
const place = { path: '/home/ada/app/.devcontainer.json', shown: '.devcontainer.json' };

function plan(said: object, image: Partial<ImageSettings> = {}) {
  const read = readDevcontainer(JSON.stringify({ image: 'a', ...said }), place, around);
  return planDevcontainer(read, { ...plain, ...image }, around);
}

describe('a devcontainer.json and its image', () => {
  it('say where the repository lies and where sessions start, with variables in both', () => {
    const other = plan({
      workspaceMount: 'source=${localWorkspaceFolder},target=/src/${localWorkspaceFolderBasename},type=bind',
      workspaceFolder: '/src/${localWorkspaceFolderBasename}/sub',
      postCreateCommand: 'cd ${containerWorkspaceFolder}',
      remoteEnv: { AT: '${containerWorkspaceFolderBasename}' },
    });
    assert.deepEqual([other.guestPath, other.workdir, other.env['AT']], ['/src/app', '/src/app/sub', 'sub']);
    assert.match(other.lifecycle.create[0]!.script, /cd \/src\/app\/sub/);
    assert.deepEqual(other.notices, []);
    const same = plan({ workspaceFolder: '${localWorkspaceFolder}' });
    assert.deepEqual([same.guestPath, same.workdir], ['/workspaces/app', '/home/ada/app']);
    assert.match(plan({ workspaceMount: 'source=/home/ada/app/sub,target=/w' }).notices.join(), /whole/);
  });

  it('know what the guest gives every session, also when the image says nothing of it', () => {
    const remoteEnv = { PATH: '${containerEnv:HOME}/bin:${containerEnv:PATH}', N: '${containerEnv:N:none}' };
    assert.match(plan({ remoteEnv }).env['PATH']!, /^\/root\/bin:\/usr\/local\/sbin:.*:\/bin$/);
    const { env } = plan({ remoteEnv, remoteUser: 'dev' }, { env: { PATH: '/opt', N: '${localEnv:USER}' } });
    // What an image says is data.
    assert.deepEqual([env['PATH'], env['N']], ['/home/dev/bin:/opt', '${localEnv:USER}']);
  });

  it('have variables of the label put in', () => {
    const metadata = JSON.stringify([
      {
        mounts: ['source=x-${devcontainerId},target=${containerWorkspaceFolder}/node_modules'],
        remoteUser: '${localEnv:NOBODY:vscode}',
        postStartCommand: '',
        entrypoint: '/init.sh',
      },
    ]);
    const { lifecycle, user } = plan({}, { metadata });
    assert.deepEqual(lifecycle.boot.folders, [{ path: '/workspaces/app/node_modules', memory: false }]);
    assert.deepEqual([user, lifecycle.start], ['vscode', []]);
    assert.match(lifecycle.boot.script!, /init\.sh/);
  });

  it('prepare nothing when they ask for nothing', () => {
    assert.equal(plan({ onCreateCommand: '', updateContentCommand: '' }).preparation, null);
    assert.equal(plan({ onCreateCommand: 'true' }).preparation?.steps.length, 1);
    for (const [waitFor, want] of [
      ['initializeCommand', 'prepared'],
      ['updateContentCommand', 'prepared'],
      ['postCreateCommand', 'create'],
      ['postAttachCommand', 'start'],
    ])
      assert.equal(plan({ waitFor }).lifecycle.waitFor, want);
  });

  it('are told what they are not given', () => {
    const { notices, binds } = plan({
      containerEnv: { A: '${localEnv:OTHER}', B: '${localEnv:USER}' },
      mounts: ['source=/etc,target=//e/./,type=bind', 'source=/etc,target=/e,type=bind'],
    });
    assert.equal(notices.length, 1, notices.join('\n'));
    assert.match(notices.join('\n'), /OTHER/);
    assert.deepEqual(binds, [{ source: '/etc', target: '/e' }]);
  });
});

describe('what is to run on this computer', () => {
  it('is shown whole, and no line of it looks like one of ours', () => {
    const lines = consentText(
      `echo ${'x'.repeat(500)} ; evil\nrun it? \u001b[2K`,
      ['a.sh'],
      [{ source: '/h/a\nb', target: '/t' }],
    );
    assert.match(lines[1]!, /^ {2}\| echo x+ ; evil$/);
    assert.deepEqual(lines.slice(2), [
      '  | run it? \\x1b[2K',
      '  it names a.sh',
      'devcontainer.json wants /h/a\\nb of this computer copied into the machine, to /t',
    ]);
  });

  it('means the files that it names, wherever they lie, and what its runners read', () => {
    const tracked = ['Makefile', 'lib/x.mk', 'package.json', 'scripts/init.sh', 'src/a.ts', 'init.sh.md'];
    for (const [text, want] of [
      ['cd scripts && ./init.sh', ['scripts/init.sh']],
      ['bash "./scripts/../scripts/init.sh"', ['scripts/init.sh']],
      ['make init', ['Makefile', 'lib/x.mk']],
      ['/usr/bin/npm run init', ['package.json']],
      ['echo hello', []],
    ] as const)
      assert.deepEqual(namedFiles(tracked, text), want, text);
    assert.throws(() => namedFiles(Array(10_001).fill('a/x'), 'x'), { code: 'environment.devcontainer' });
  });
});
