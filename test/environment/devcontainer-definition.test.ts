// What an image’s label and devcontainer.json say together, and the variables in it.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  localNames,
  mergeDefinition,
  substitute,
  type Variables,
} from '../../src/environment/devcontainer/index.ts';
import { cpuMs } from '../measure.ts';
import { read } from './devcontainer-file.ts';

describe('what an image’s label and devcontainer.json say', () => {
  const label = JSON.stringify([
    {
      id: 'feature',
      onCreateCommand: 'one',
      postCreateCommand: ['a', 'b'],
      mounts: ['source=cache,target=/cache', { type: 'volume', source: 'old', target: '/data' }],
      containerEnv: { A: '1', B: '1' },
      entrypoint: '/init.sh',
    },
    {
      remoteUser: 'vscode',
      containerUser: 'root',
      hostRequirements: { cpus: 4, memory: '2gb' },
      forwardPorts: [3000],
      waitFor: 'onCreateCommand',
      remoteEnv: { X: 'label', Y: 'label' },
    },
  ]);

  it('is merged as the specification’s table has it', () => {
    const merged = mergeDefinition(
      label,
      read({
        image: 'a',
        onCreateCommand: { x: 'two' },
        remoteUser: 'me',
        containerEnv: { B: '2' },
        remoteEnv: { Y: null },
        forwardPorts: [3000, 4000, 'db:5432'],
        mounts: ['type=tmpfs,dst=/data'],
        hostRequirements: { cpus: 2, memory: '512mb', storage: '1000', gpu: true },
        runArgs: ['--gpus', 'all'],
      }),
    );
    assert.deepEqual(merged.lifecycle, {
      onCreateCommand: ['one', { x: 'two' }],
      updateContentCommand: [],
      postCreateCommand: [['a', 'b']],
      postStartCommand: [],
      postAttachCommand: [],
    });
    assert.deepEqual(
      [merged.remoteUser, merged.containerUser, merged.waitFor, merged.userEnvProbe],
      ['me', 'root', 'onCreateCommand', 'loginInteractiveShell'],
    );
    assert.deepEqual(
      [merged.containerEnv, merged.remoteEnv],
      [
        { A: '1', B: '2' },
        { X: 'label', Y: null },
      ],
    );
    assert.deepEqual(merged.mounts, [
      { type: 'volume', source: 'cache', target: '/cache' },
      { type: 'tmpfs', source: '', target: '/data' },
    ]);
    assert.deepEqual(merged.hostRequirements, { cpus: 4, memoryBytes: 2 * 1024 ** 3, storageBytes: 1000 });
    assert.deepEqual([merged.forwardPorts, merged.entrypoints], [[3000, 4000], ['/init.sh']]);
    assert.equal(merged.notices.length, 3, merged.notices.join('\n'));
  });

  it('may be one object, or nothing', () => {
    assert.equal(mergeDefinition('{"remoteUser": "x"}', read({ image: 'a' })).remoteUser, 'x');
    assert.equal(mergeDefinition('', read({ image: 'a' })).waitFor, 'updateContentCommand');
    assert.equal(mergeDefinition(null, read({ image: 'a' })).remoteUser, null);
  });

  it('may have variables where they are checked later, and texts that say nothing', () => {
    const said = read({
      image: 'a',
      remoteUser: '${localEnv:USER:vscode}',
      workspaceFolder: '${localWorkspaceFolder}',
      postCreateCommand: '',
      initializeCommand: '',
      containerEnv: { PORT: 80, DEBUG: true },
      forwardPorts: ['localhost:80', 80],
      build: { options: ['--network=host'] },
    });
    const merged = mergeDefinition('[{"userEnvProbe": "none"}]', {
      ...said,
      remoteUser: '',
      containerUser: 'a',
      workspaceFolder: '/w',
    });
    assert.deepEqual(
      [merged.remoteUser, merged.containerUser, merged.lifecycle.postCreateCommand, merged.initialize],
      [null, 'a', [], null],
    );
    assert.deepEqual([merged.containerEnv, merged.forwardPorts], [{ PORT: '80', DEBUG: 'true' }, [80]]);
    assert.match(merged.notices.join(), /build\.options/);
    assert.throws(() => mergeDefinition(null, said), /remoteUser .* is not a user/);
    const there = { ...said, remoteUser: 'me' };
    assert.throws(() => mergeDefinition(null, there), /workspaceFolder .* is no absolute path/);
    assert.throws(() => mergeDefinition(null, { ...there, workspaceFolder: '/a/../..' }), /absolute path/);
  });

  it('has of runArgs what can be had, silence for what is so anyhow, and a notice for the rest', () => {
    const runArgs = [
      ...[
        '-e',
        'A=1=2',
        '--env=B=',
        '--env',
        'HOME',
        '--init',
        '--cap-add=SYS_PTRACE',
        '--security-opt',
        'x=y',
      ],
      ...['--network=host', '--gpus', 'all', '-p', '80:80', '--device', '--rm', 'odd', '-e'],
    ];
    const merged = mergeDefinition(null, read({ image: 'a', runArgs, containerEnv: { A: '0', C: '3' } }));
    assert.deepEqual(merged.containerEnv, { A: '1=2', B: '', C: '3' });
    assert.equal(
      merged.notices.join(),
      'runArgs: no container engine runs here, so --env HOME, --network=host, --gpus all, -p 80:80, --device has no effect',
    );
    assert.deepEqual(mergeDefinition(null, read({ image: 'a', runArgs: ['--init'] })).notices, []);
  });

  it('has the variables of the label put in before it is understood', () => {
    const label = '[{"mounts": ["source=x,target=${containerWorkspaceFolder}/node_modules"]}]';
    assert.throws(() => mergeDefinition(label, read({ image: 'a' })), /no absolute path/);
    const { mounts } = mergeDefinition(label, read({ image: 'a' }), (entry) =>
      substitute(entry, {
        ...{ localEnv: {}, localWorkspaceFolder: '/r', containerWorkspaceFolder: '/w' },
        ...{ devcontainerId: 'i', containerEnv: null },
      }),
    );
    assert.equal(mounts[0]?.target, '/w/node_modules');
  });

  it('is not believed when the label makes no sense', () => {
    for (const bad of [
      '{',
      '[1]',
      '[{"remoteUser": "a b"}]',
      '[{"mounts": ["type=magic,target=/x"]}]',
      '[{"mounts": ["target=../x"]}]',
      JSON.stringify(Array(1001).fill({})),
      `${' '.repeat(2 * 1024 ** 2)}[]`,
    ])
      assert.throws(() => mergeDefinition(bad, read({ image: 'a' })), { code: 'environment.devcontainer' });
  });
});

describe('variables', () => {
  const variables: Variables = {
    localEnv: { USER: 'ada', EMPTY: '', TRICK: '${localEnv:USER}' },
    containerEnv: { PATH: '/bin' },
    localWorkspaceFolder: '/home/ada/my app',
    containerWorkspaceFolder: '/workspaces/app',
    devcontainerId: 'abc',
  };

  it('are put in, and what is put in is not looked at again', () => {
    for (const [text, want] of [
      ['${localEnv:USER}-${env:USER}', 'ada-ada'],
      ['${localEnv:NONE}|${localEnv:NONE:d}|${localEnv:EMPTY:d}|${localEnv:NONE:a:b}', '|d||a'],
      ['${localEnv:TRICK}', '${localEnv:USER}'],
      ['${containerEnv:PATH}:/x', '/bin:/x'],
      ['${localWorkspaceFolder} ${localWorkspaceFolderBasename}', '/home/ada/my app my app'],
      [
        '${containerWorkspaceFolder} ${containerWorkspaceFolderBasename} ${devcontainerId}',
        '/workspaces/app app abc',
      ],
      [
        '${unknown} $HOME ${localEnv} ${__proto__} ${localEnv:__proto__}',
        '${unknown} $HOME ${localEnv} ${__proto__} ',
      ],
    ] as const)
      assert.equal(substitute(text, variables), want);
    assert.deepEqual(
      substitute({ a: ['${devcontainerId}', 1, null], '${devcontainerId}': true }, variables),
      { a: ['abc', 1, null], '${devcontainerId}': true },
    );
    assert.equal(
      substitute('${containerEnv:PATH}', { ...variables, containerEnv: null }),
      '${containerEnv:PATH}',
    );
  });

  it('that are opened and never closed take no time', () => {
    const before = cpuMs();
    for (const text of ['${'.repeat(32_768), `${'${'.repeat(32_000)}\n}`, '${\n'.repeat(20_000)])
      for (let round = 0; round < 16; round++) assert.equal(substitute(text, variables), text);
    assert.equal(
      substitute('${a${localEnv:USER}${\n}${localEnv:USER}', variables),
      '${a${localEnv:USER}${\n}ada',
    );
    assert.ok(cpuMs() - before < 3000);
  });

  it('of the host that are asked for can be told', () => {
    assert.deepEqual(localNames({ a: ['${localEnv:A:x} ${env:B}'], c: { d: '${localEnv:A}' } }), ['A', 'B']);
  });
});
