// devcontainer.json: found, read, merged with an image's label, its variables put in, its commands made into a script.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import {
  chooseDevcontainer,
  commandsScript,
  isDevcontainerFile,
  localNames,
  mergeDefinition,
  parseDevcontainer,
  quoteWord,
  substitute,
  toEnvironment,
  type Variables,
  withUserEnvironment,
} from '../../src/environment/devcontainer/index.ts';
import { randomFrom } from '../fuzz/mutate.ts';

const read = (value: unknown) => parseDevcontainer(JSON.stringify(value), 'devcontainer.json');
const refused = (value: unknown, why: RegExp) =>
  assert.throws(
    () => read(value),
    (error: Error & { code: string }) => {
      assert.equal(error.code, 'environment.devcontainer');
      assert.match(error.message, why);
      return true;
    },
  );

describe('devcontainer.json is found', () => {
  it('in the order of the specification', () => {
    assert.equal(chooseDevcontainer([]), null);
    const further = ['.devcontainer/a/devcontainer.json'];
    assert.equal(chooseDevcontainer(further), further[0]);
    assert.equal(chooseDevcontainer([...further, '.devcontainer.json']), '.devcontainer.json');
    assert.equal(
      chooseDevcontainer([...further, '.devcontainer.json', '.devcontainer/devcontainer.json']),
      '.devcontainer/devcontainer.json',
    );
  });

  it('or asked for, when there are several', () => {
    const places = ['.devcontainer/b/devcontainer.json', '.devcontainer/a/devcontainer.json'];
    assert.throws(() => chooseDevcontainer(places), {
      code: 'environment.devcontainer',
      remedy: 'name one: --env ./.devcontainer/a/devcontainer.json',
    });
    assert.equal(chooseDevcontainer(['.devcontainer/a/b/devcontainer.json']), null);
  });

  it('by its name', () => {
    for (const path of ['.devcontainer.json', '/r/.devcontainer/devcontainer.json', 'devcontainer.json'])
      assert.ok(isDevcontainerFile(path));
    for (const path of ['x.devcontainer.json', 'devcontainer.jsonc', 'mydevcontainer.json'])
      assert.ok(!isDevcontainerFile(path));
  });
});

describe('devcontainer.json is read', () => {
  it('with comments, trailing commas and words of other tools', () => {
    const said = parseDevcontainer(
      '\uFEFF{ // a comment\n "image": "debian", /* more */ "x-tool": {"a": [1,],}, "customizations": {"vscode": {}}, }',
      'f',
    );
    assert.equal(said.image, 'debian');
  });

  it('or refused with the place and what was expected', () => {
    for (const [text, why] of [
      ['{\n  "image": debian\n}', /^f:2:12: /],
      ['{"image": "a"', /^f:1:14: close brace expected/],
      ['[]', /f:1:1: an object was expected/],
      ['', /^f:1:1: value expected/],
      ['{"image": "a",\n "forwardPorts": ["x"]}', /^f:2:19: forwardPorts\.0: a port was expected/],
      ['{\n"image": "a",\n"postCreateCommand": 5}', /^f:3:22: postCreateCommand: a command was expected/],
      ['{"image": "a", "waitFor": "ready"}', /waitFor: it must name one of the lifecycle commands/],
      ['{"image": "a", "remoteUser": "a b"}', /remoteUser: not a user/],
      ['{"image": "a", "hostRequirements": {"memory": "lots"}}', /a size was expected, such as "8gb"/],
      ['{"image": "a", "workspaceFolder": "here"}', /an absolute path was expected/],
      [
        '{"image": "a",\n"dockerComposeFile": "c.yml"}',
        /^f:2:22: several containers by Docker Compose are not supported/,
      ],
      ['{"image": "a", "build": {"dockerfile": "D"}}', /both named/],
      [`${'['.repeat(70)}`, /more than 64 levels/],
      [`{"image": "${'a'.repeat(1024 * 1024)}"}`, /larger than/],
    ] as const)
      assert.throws(
        () => parseDevcontainer(text, 'f'),
        (error: Error & { code: string; remedy: string }) => {
          assert.equal(error.code, 'environment.devcontainer', text);
          assert.match(error.message, why);
          assert.ok(error.remedy);
          return true;
        },
      );
    refused({ image: 'a', containerEnv: { 'A=B': '1' } }, /containerEnv/);
    refused({ image: 'a', init: '\u001b]0;x\u0007' }, /^(?!.*\u001b).*init/);
    refused({ image: 'a', postCreateCommand: { a: { b: 'c' } } }, /postCreateCommand/);
    refused({ image: 'a', postCreateCommand: 'a\0b' }, /NUL/);
  });
});

describe('a devcontainer.json that is made to be slow or deep', () => {
  it('is refused in a moment', () => {
    const half = 512 * 1024;
    for (const text of [
      '/*',
      '{"a": 1} /* ',
      '"\\'.repeat(half),
      '/*'.repeat(half),
      '\\"'.repeat(half),
      '['.repeat(half),
    ]) {
      const startedMs = performance.now();
      assert.throws(() => parseDevcontainer(text, 'f'), { code: 'environment.devcontainer' });
      assert.throws(() => mergeDefinition(text, read({ image: 'a' })), { code: 'environment.devcontainer' });
      assert.ok(performance.now() - startedMs < 3000, text.slice(0, 4));
    }
  });
});

describe('an environment of devcontainer.json', () => {
  const at = '/r/.devcontainer/devcontainer.json';
  it('is an image, or a Dockerfile in the repository', () => {
    assert.deepEqual(toEnvironment(read({ image: 'debian:12' }), at, '/r').kind, 'image');
    assert.deepEqual(
      toEnvironment(
        read({ build: { dockerfile: 'Dockerfile', context: '..', target: 't', args: { A: '1' } } }),
        at,
        '/r',
      ),
      {
        kind: 'dockerfile',
        file: '/r/.devcontainer/Dockerfile',
        context: '/r',
        target: 't',
        args: { A: '1' },
        contexts: {},
      },
    );
    const old = toEnvironment(read({ dockerFile: '../Dockerfile' }), at, '/r');
    assert.equal(old.kind === 'dockerfile' && old.context, '/r');
  });

  it('leads nowhere else', () => {
    for (const build of [
      { dockerfile: '../../x' },
      { dockerfile: '/etc/passwd' },
      { dockerfile: '..' },
      { dockerfile: 'D', context: '../..' },
    ])
      assert.throws(() => toEnvironment(read({ build }), at, '/r'), { code: 'environment.devcontainer' });
    assert.throws(() => toEnvironment(read({}), at, '/r'), /neither an image nor a Dockerfile/);
  });
});

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
    const startedMs = performance.now();
    for (const text of ['${'.repeat(32_768), `${'${'.repeat(32_000)}\n}`, '${\n'.repeat(20_000)])
      for (let round = 0; round < 16; round++) assert.equal(substitute(text, variables), text);
    assert.equal(
      substitute('${a${localEnv:USER}${\n}${localEnv:USER}', variables),
      '${a${localEnv:USER}${\n}ada',
    );
    assert.ok(performance.now() - startedMs < 3000);
  });

  it('of the host that are asked for can be told', () => {
    assert.deepEqual(localNames({ a: ['${localEnv:A:x} ${env:B}'], c: { d: '${localEnv:A}' } }), ['A', 'B']);
  });
});

describe('lifecycle commands', () => {
  const shells = ['/bin/sh', '/bin/bash'];
  const run = (script: string, env: Record<string, string> = {}, shell = '/bin/sh') => {
    const { status, stdout } = spawnSync(shell, ['-c', `exec 2>&1\n${script}`], {
      encoding: 'utf8',
      timeout: 20_000,
      env: { PATH: process.env['PATH']!, ...env },
    });
    return { status, stdout };
  };
  const odd = ["it's", '$(echo no)', '`echo no`', '"', '\\', 'a  b', '*', '', '-n', 'ü\n', '!!', '#'];

  it('are lines for a shell, or programs with their words', () => {
    for (const shell of shells) {
      assert.deepEqual(
        run(commandsScript(['x=1; echo "a $x"', ['printf', '[%s]', ...odd]], 'N'), {}, shell),
        { status: 0, stdout: `a 1\n${odd.map((word) => `[${word}]`).join('')}` },
      );
      assert.deepEqual(run(commandsScript(['echo a', 'exit 3', 'echo never'], 'N'), {}, shell), {
        status: 3,
        stdout: 'a\n',
      });
      assert.deepEqual(run(commandsScript([['false'], 'echo never'], 'N'), {}, shell), {
        status: 1,
        stdout: '',
      });
      assert.equal(run(commandsScript([['no-such-program']], 'N'), {}, shell).status, 127);
      // A program by the name of something that the shell does itself.
      const exits = run(commandsScript([['exit', '0'], 'echo never'], 'N'), {}, shell);
      assert.deepEqual([exits.status, exits.stdout.includes('never')], [127, false]);
      assert.deepEqual(run(commandsScript([], 'N'), {}, shell), { status: 0, stdout: '' });
      assert.deepEqual(run(commandsScript([{}], 'N'), {}, shell), { status: 0, stdout: '' });
    }
  });

  it('of an object run at the same time, and all have to succeed', () => {
    for (const shell of shells) {
      // Each waits for the other's word: one after the other would never end.
      const meet = (mine: string, other: string) =>
        `touch "$D/${mine}"; while [ ! -e "$D/${other}" ]; do sleep 0.01; done; echo met; printf 'no newline'`;
      const D = spawnSync('mktemp', ['-d'], { encoding: 'utf8' }).stdout.trim();
      const met = run(commandsScript([{ a: meet('x', 'y'), "b's": meet('y', 'x') }], 'N0nce'), { D }, shell);
      assert.equal(met.status, 0, met.stdout);
      assert.deepEqual(met.stdout.trim().split('\n').sort(), [
        '[a] met',
        '[a] no newline',
        "[b's] met",
        "[b's] no newline",
      ]);
      const failed = run(
        commandsScript(
          [
            { good: 'sleep 0.1; echo ended', bad: 'echo "oh no" >&2; exit 4', list: ['echo', 'a  b'] },
            'echo never',
          ],
          'N0nce',
        ),
        {},
        shell,
      );
      assert.equal(failed.status, 4);
      assert.deepEqual(failed.stdout.trim().split('\n').sort(), [
        '[bad] oh no',
        '[good] ended',
        '[list] a  b',
        'bad: failed with 4',
      ]);
    }
  });

  it('of an object end when they end, and what they left running goes on', () => {
    for (const shell of shells) {
      const D = spawnSync('mktemp', ['-d'], { encoding: 'utf8' }).stdout.trim();
      const left = `(while [ ! -e "$D/seen" ]; do sleep 0.01; done; for i in 1 2 3; do echo more; sleep 0.01; done; echo alive > "$D/alive") & echo begun`;
      const { status, stdout } = run(
        `${commandsScript([{ server: left }], 'N0nce')}; : > "$D/seen"; while [ ! -s "$D/alive" ]; do sleep 0.01; done`,
        { D },
        shell,
      );
      assert.deepEqual([status, stdout], [0, '[server] begun\n']);
    }
  });

  it('run, and once, whatever the start-up files of the user’s shell do', () => {
    for (const [profile, heard] of [
      ['cd /', /^$/],
      ['exit 0', /start-up files/],
      ['exec true', /start-up files/],
      ['PATH=/nowhere', /^$/],
      ['exit() { :; }; exec() { :; }', /^(?:the start-up files.*\n)?$/],
      ['set -eu', /^$/],
    ] as const) {
      const home = spawnSync('mktemp', ['-d'], { encoding: 'utf8' }).stdout.trim();
      spawnSync('/bin/sh', ['-c', 'printf %s "$1" > "$2/.profile"', 'x', profile, home]);
      const script = withUserEnvironment(commandsScript(['echo ran >> "$HOME/ran"; pwd; (exit 7)'], 'N'), {
        userEnvProbe: 'loginShell',
        remoteEnv: {},
      });
      const { status, stdout } = run(`cd "$HOME" && ${script}`, {
        HOME: home,
        SHELL: '/bin/bash',
        PATH: '/usr/bin:/bin',
      });
      assert.equal(status, 7, profile);
      assert.ok(stdout.endsWith(`${home}\n`), stdout);
      assert.match(stdout.slice(0, -home.length - 1), heard, profile);
      assert.equal(spawnSync('cat', [`${home}/ran`], { encoding: 'utf8' }).stdout, 'ran\n', profile);
    }
  });

  it('run with what the user’s shell sets, and remoteEnv over it', () => {
    const home = spawnSync('mktemp', ['-d'], { encoding: 'utf8' }).stdout.trim();
    spawnSync('/bin/sh', [
      '-c',
      `echo 'export LOGIN=yes PATH="/probed:$PATH"; echo noise; echo noise >&2' > "$1/.profile"; echo 'export RC=yes' > "$1/.bashrc"`,
      'x',
      home,
    ]);
    const show = 'echo "${LOGIN-} ${RC-} ${R-unset} ${GONE-unset} ${PATH%%:*}"; echo err >&2; exit 5';
    const at = (
      userEnvProbe: 'none' | 'loginShell' | 'interactiveShell' | 'loginInteractiveShell',
      SHELL: string,
    ) =>
      run(
        withUserEnvironment(commandsScript([show], 'N'), {
          userEnvProbe,
          remoteEnv: { R: "it's", GONE: null, 'no-name': 'x' },
        }),
        { HOME: home, SHELL, GONE: 'here', PATH: '/usr/bin:/bin' },
      );
    assert.deepEqual(at('none', '/bin/bash'), { status: 5, stdout: "  it's unset /usr/bin\nerr\n" });
    assert.deepEqual(at('loginShell', '/bin/bash'), { status: 5, stdout: "yes  it's unset /probed\nerr\n" });
    assert.deepEqual(at('interactiveShell', '/bin/bash'), {
      status: 5,
      stdout: " yes it's unset /usr/bin\nerr\n",
    });
    assert.match(at('loginInteractiveShell', '/bin/bash').stdout, /^yes /);
    assert.deepEqual(at('loginShell', '/usr/bin/fish'), {
      status: 5,
      stdout: "yes  it's unset /probed\nerr\n",
    });
  });

  it('get their words whole, whatever form, name and shell', () => {
    const random = randomFrom(1);
    const odd = [
      "'",
      '"',
      '$',
      '`',
      '\\',
      ';',
      '|',
      '&',
      '!',
      ' ',
      '*',
      '{',
      '~',
      '#',
      '%s',
      '-n',
      'ü',
      '$(x)',
      'N0nce',
    ];
    const word = () => Array.from({ length: random(6) }, () => odd[random(odd.length)]).join('');
    for (let round = 0; round < 40; round++) {
      const shell = shells[round % shells.length]!;
      const words = Array.from({ length: 1 + random(4) }, word);
      const asLine = `printf '[%s]' ${words.map(quoteWord).join(' ')}`;
      const asList = ['printf', '[%s]', ...words];
      const printed = words.map((each) => `[${each}]`).join('');
      const named = Object.fromEntries([word(), word()].map((name, at) => [name, at ? asLine : asList]));
      const { stdout, status } = run(
        withUserEnvironment(commandsScript([asLine, asList, ['echo'], named], 'xyzzy'), {
          userEnvProbe: round % 2 ? 'none' : 'loginShell',
          remoteEnv: { WORDS: words[0]! },
        }),
        { HOME: '/nowhere', SHELL: shell },
        shell,
      );
      const [first, ...lines] = stdout.split('\n');
      assert.equal(first, printed + printed);
      assert.deepEqual(
        lines.slice(0, -1).sort(),
        Object.keys(named)
          .map((name) => `[${name}] ${printed}`)
          .sort(),
      );
      assert.equal(status, 0);
    }
  });

  it('stay inside their quotes whatever they hold', () => {
    const bytes = () =>
      Array.from({ length: 12 }, () =>
        String.fromCharCode(
          [39, 34, 36, 96, 92, 10, 40, 59, 124, 38, 33, 97, 32, 42, 123][Math.floor(Math.random() * 15)]!,
        ),
      ).join('');
    for (let round = 0; round < 60; round++) {
      const words = Array.from({ length: 20 }, bytes);
      const { stdout } = run(`printf '%s\\0' ${words.map(quoteWord).join(' ')}`);
      assert.deepEqual(stdout.split('\0').slice(0, -1), words);
    }
  });
});
