// Builds of Dockerfiles that fail, are given up or lose their machine, daemon or disk: what is said, and what is left.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import {
  BUILD,
  build,
  busybox,
  missing,
  nothingIsLeft,
  now,
  ran,
  serveBase,
  stepRuns,
  store,
  vmms,
  vmmsInside,
  warren,
} from './dockerfile-builds.ts';
import { type Ended, inSmall, until, write } from './harness.ts';
import { openTerminal } from './terminal.ts';

describe('a Dockerfile', { skip: missing }, () => {
  serveBase();

  it('that fails says which line and why, and what came before is kept', async () => {
    const Dockerfile = `FROM ${now.base}\nRUN echo before\nRUN echo out; echo "oh dear" >&2; exit 7\n`;
    const failed = await build({ Dockerfile }, [], { fails: 'build.step-failed' });
    assert.match(
      failed.stderr,
      /cannot build line 3, \[2\/2\] RUN .*: it exited with 7\n {2}(?:out\n {2}oh dear|oh dear\n {2}out)/,
    );
    const mended = await build({ Dockerfile: Dockerfile.replace('exit 7', 'exit 0') });
    assert.equal(ran(mended).length, 1);
    for (const [line, says] of [
      ['RUN ["/no/such/program"]', /no such file/],
      ['USER nobody-here\nRUN true', /nobody-here/],
      ['COPY --from=nowhere.invalid/x:1 /a /b', /nowhere\.invalid/],
      ['COPY --chown=nobody-here Dockerfile /', /nobody-here/],
      ['COPY --from=0 /not-there /x', /not found/],
      ['COPY missing /x', /missing.*not in the build context/],
      ['RUNN true', /did you mean RUN/],
    ] as const) {
      const ended = await buildText(`FROM ${now.base} AS first\nFROM ${now.base}\n${line}\n`);
      assert.equal(ended.code, 1, line);
      assert.match(ended.stderr, says);
    }
    await nothingIsLeft();
  });

  it('that fails opens a shell there with --debug, and ends with it, or with whoever asked', async (t) => {
    const line = 'RUN --mount=type=tmpfs,target=/fast echo kept > file; echo LAST WORDS; exit 7';
    const Dockerfile = `FROM ${now.base}\nENV GREETING=hello\nWORKDIR /work\nRUN chown ann /work\nUSER ann\n${line}\n`;
    write(now.folder, { Dockerfile });
    const args = [...BUILD, '--debug'];
    await warren.fails(args, 'usage.no-terminal', { cwd: now.folder });
    const { shows, type } = terminal(t, args);
    await shows(/line 6,[\s\S]*it exited with 7[\s\S]*LAST WORDS[\s\S]*a shell where it failed/);
    type('echo "= $GREETING $(id -un) $(pwd) $(cat file) $(test -d /fast && echo mounted)"', 'Enter');
    await shows(/^= hello ann \/work kept mounted$/m);
    // Ctrl-C is the shell's; what it began has the terminal when it speaks.
    type("sh -c 'echo $((6*7)) begun; exec sleep 1000'", 'Enter');
    await shows(/^42 begun$/m);
    type('C-c');
    type('exit', 'Enter');
    await shows(/it exited with 7[\s\S]*\[build\.step-failed\][\s\S]*left with 1/);
    await nothingIsLeft();

    const second = terminal(t, args);
    await second.shows(/a shell where it failed/);
    second.close();
    await nothingIsLeft();
  });

  it('is built once for two who ask, and leaves nothing when it is cancelled or its machine is killed', async () => {
    write(now.folder, { Dockerfile: `FROM ${now.base}\nRUN echo ONCE\n` });
    const args = [...BUILD, '--progress', 'plain'];
    const [one, two] = await Promise.all([1, 2].map(() => warren.run(args, { cwd: now.folder })));
    assert.deepEqual([one!.code, two!.code], [0, 0], one!.stderr);
    assert.equal(
      new Set([one!.stdout + one!.stderr.split('\n').at(-2), two!.stdout + two!.stderr.split('\n').at(-2)])
        .size,
      1,
    );

    const endless = `FROM ${now.base}\nRUN echo STARTED; exec busybox sleep 1000\n`;
    write(now.folder, { Dockerfile: endless });
    let pid = 0;
    const cancelled = warren.run(args, {
      cwd: now.folder,
      onStart: (id) => {
        pid = id;
      },
    });
    await until('the step runs', stepRuns);
    process.kill(pid, 'SIGINT');
    assert.match((await cancelled).stderr, /cancelled/);
    await until('the machine is gone', () => vmms().length === 0);

    const killed = warren.run(args, { cwd: now.folder });
    await until('the step runs', stepRuns);
    for (const each of vmmsInside()) process.kill(each, 'SIGKILL');
    const ended = await killed;
    assert.notEqual(ended.code, 0);
    assert.match(ended.stderr, /\[(build\.step-failed|machine\.[a-z-]+)\]/);
    await nothingIsLeft();
  });

  it('outlives no daemon: what a killed one was building is gone with the next', async () => {
    const first =
      'RUN --mount=type=cache,target=/cache echo "runs $(ls /cache | wc -l)"; echo x > /cache/kept';
    const Dockerfile = `FROM ${now.base}\n${first}\nRUN sleep 3; echo STARTED; exec busybox sleep 1000\n`;
    write(now.folder, { Dockerfile });
    const building = warren.run(BUILD, { cwd: now.folder });
    await until('the step runs', stepRuns);
    const { pid } = JSON.parse(await warren.ok(['daemon', 'status', '--json'])) as { pid: number };
    process.kill(pid, 'SIGKILL');
    assert.notEqual((await building).code, 0);
    await warren.ok(['ls']);
    await nothingIsLeft();
    // What a finished step wrote into a cache is there.
    const again = await build({ Dockerfile: `FROM ${now.base}\n${first}\n` }, ['--no-cache']);
    assert.match(again.stderr, /^ +runs 1$/m);
  });

  it('is given up when the disk of this computer is full, and says so', async () => {
    // Daemon and data in a small file system of their own, which something else fills while a step runs.
    const home = join(warren.home, 'small');
    const line =
      'RUN ["/busybox", "sh", "-c", "echo STARTED; busybox sleep 6; busybox dd if=/dev/urandom of=/big bs=1M count=500; busybox sync"]';
    const small = join(home, 'store');
    const script = `
      mkdir -m 700 -p '${small}' '${home}/c'; cp '${store}/accelerator.json' '${small}/' 2>/dev/null || true
      ln -s '${store}/kernels' '${small}/kernels'; cd '${home}/c'; cp '${busybox}' busybox
      printf 'FROM scratch\\nCOPY busybox /\\nENV PATH=/\\n%s\\n' '${line}' > Dockerfile
      ("$W" template build --env ./Dockerfile > ../said 2>&1 || echo "code $?" >> ../said) &
      for i in $(seq 600); do grep -q ^STARTED '${small}/build.log' 2>/dev/null && break; sleep 0.1; done
      head -c $(( $(df --output=avail -B1 . | tail -1) - 100000000 )) /dev/zero > ../ballast
      wait; cat ../said; ls '${home}/.local/share/warren/builds' | wc -l; "$W" daemon stop >/dev/null 2>&1`;
    const said = inSmall(warren, 2700, home, script, { HOME: home, WARREN_STORE: small });
    assert.match(said, /the disk of this computer is full[\s\S]*\[host\.disk-full\][\s\S]*code 1\n0\n/);
  });
});

function terminal(t: TestContext, args: string[]) {
  const opened = openTerminal(warren, args, now.folder);
  t.after(() => {
    try {
      opened.close();
    } catch {}
  });
  return opened;
}

async function buildText(Dockerfile: string): Promise<Ended> {
  write(now.folder, { Dockerfile });
  return await warren.run(BUILD, { cwd: now.folder });
}
