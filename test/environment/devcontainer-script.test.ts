// Lifecycle commands as text for a shell: what they do there, and that they stay inside their quotes.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { commandsScript, quoteWord, withUserEnvironment } from '../../src/environment/devcontainer/index.ts';
import { randomFrom } from '../fuzz/mutate.ts';

const folder = mkdtempSync(join(tmpdir(), 'warren-script-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const temporary = () => mkdtempSync(join(folder, 'x-'));

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
      const D = temporary();
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
      const D = temporary();
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
      const home = temporary();
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
    const home = temporary();
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
