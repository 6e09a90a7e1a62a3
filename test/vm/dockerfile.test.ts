// Dockerfiles as environments: built in a machine, step by step; what is known is not built again; what fails leaves
// nothing. The base image is one static program, in Debian's docker-registry on loopback.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { PruneResult, TemplateDetail } from '../../src/protocol/api.ts';
import { staticBusybox } from '../image/debian-program.ts';
import { busyboxEntries, makeImage, makeTar, push } from '../image/make-image.ts';
import { type RunningRegistry, registryProgram, startRegistry } from '../image/registry-program.ts';
import { allow, DENIED, openDoorWarren, origin, web } from './door-origins.ts';
import { type Ended, inSmall, processes, until, write } from './harness.ts';
import { openTerminal } from './terminal.ts';

const found = registryProgram();
const box = staticBusybox();
const busybox = 'program' in box ? box.program : '';
const noBusybox = 'missing' in box && box.missing;
const missing = 'missing' in found ? found.missing : noBusybox;
const warren = openDoorWarren();
const store = mkdtempSync(join(tmpdir(), 'warren-build-test-'));
after(() => rmSync(store, { recursive: true, force: true }));
// A store of its own: what it holds is looked through here. The kernel need not be fetched again for that.
const shared = warren.env['WARREN_STORE']!;
warren.env['WARREN_STORE'] = store;
for (const kept of ['kernels', 'accelerator.json'])
  if (existsSync(join(shared, kept)))
    cpSync(join(shared, kept), join(store, kept), { recursive: true, preserveTimestamps: true });

describe('a Dockerfile', { skip: missing }, () => {
  let registry: RunningRegistry;
  let base: string;
  let folder: string;
  let nr = 0;

  before(async () => {
    registry = await startRegistry((found as { program: string }).program, join(store, '.registry'));
    const layer = await makeTar([
      ...busyboxEntries(busybox),
      { name: 'opt/low/a', content: 'a' },
      { name: 'opt/low/b', content: 'b' },
      { name: 'opt/gone', content: 'x' },
    ]);
    const config = { Env: ['PATH=/bin', 'FROM_BASE=yes'], OnBuild: ['ENV TRIGGERED=yes'] };
    await push(registry.url, 'base', '1', makeImage([layer], config));
    base = `${registry.host}/base:1`;
  });
  after(() => registry.stop());
  beforeEach(() => {
    folder = join(warren.home, `context-${nr++}`);
  });

  /** Builds and answers what was shown; `code` 0 is expected unless `fails` names an error. */
  async function build(
    files: Record<string, string>,
    flags: string[] = [],
    { fails, env }: { fails?: string; env?: Record<string, string> } = {},
  ): Promise<Ended> {
    write(folder, files);
    const args = ['template', 'build', '--env', './Dockerfile', '--progress', 'plain', ...flags];
    const ended = await warren.run(args, { cwd: folder, ...(env && { env }) });
    if (fails === undefined) assert.equal(ended.code, 0, ended.stderr);
    else assert.match(ended.stderr, new RegExp(`\\[${fails.replace('.', '\\.')}\\]`));
    assert.doesNotMatch(ended.stderr, /^\s+at .*:\d+:\d+/m);
    await nothingIsLeft();
    return ended;
  }

  /** A process that was killed is in /proc for a moment more. */
  async function nothingIsLeft(): Promise<void> {
    const builds = join(warren.data, 'builds');
    await until('the folder is gone', () => !existsSync(builds) || readdirSync(builds).length === 0);
    await until('the machine is gone', () => vmms().length === 0);
  }

  /** The VMMs in those boxes, by the name that both have. */
  const vmmsInside = () => {
    const names = new Set(readdirSync(join(warren.data, 'builds')).map((id) => `warren-${id}`));
    return processes((args) => names.has(args[args.indexOf('-name') + 1] ?? ''));
  };

  /** The boxes of this Warren's builders: their arguments name its home. */
  const vmms = () =>
    processes(
      (args) =>
        args.some((arg) => arg.startsWith('warren-build-')) && args.some((arg) => arg.includes(warren.home)),
    );

  it('is built as it says: files, owners, modes, users, mounts, stages, here-documents, triggers', async () => {
    const archive = execFileSync('tar', ['-C', folderOf({ 'deep/file': 'packed' }), '-c', '.']);
    write(folder, {
      'src/one.c': '1',
      'src/two.c': '2',
      'src/sub/three.h': '3',
      'src/skip.log': 'no',
      '.env': 'SECRET=1',
    });
    writeFileSync(join(folder, 'packed.tar.gz'), gzipSync(archive));
    const ended = await build(
      {
        '.dockerignore': '**/*.log\n',
        Dockerfile: `FROM ${base} AS tools
ARG WHO=nobody
RUN mkdir -p /out && echo "made for $WHO" > /out/made && ln /out/made /out/same && chmod 4711 /out/made
RUN rm -rf /opt/low /opt/gone && mkdir /opt/low && echo new > /opt/low/c
FROM ${base}
USER ann
WORKDIR /work/here
RUN test "$(stat -c %U /work/here)" = ann
USER root
COPY src/*.c /c/
COPY --chown=ann:team --chmod=u=rwX,go= src /src
COPY . /all/
ADD packed.tar.gz /unpacked/
COPY --from=tools /out /out
COPY --from=tools /opt/low /opt/copied
COPY <<one <<two /docs/
first
one
second $FROM_BASE
two
RUN --mount=type=bind,target=/ctx --mount=type=bind,from=tools,source=/out,target=/t,rw --mount=type=tmpfs,target=/fast --mount=type=cache,target=/cache <<EOF
set -eu
test "$(cat /c/one.c /c/two.c)" = 12
test "$(stat -c '%U %G %a' /src)" = "ann team 700"
test "$(stat -c '%U %G %a' /src/sub/three.h)" = "ann team 600"
test ! -e /all/src/skip.log
test ! -e /all/.env
test -e /all/src/sub/three.h
test "$(cat /unpacked/deep/file)" = packed
test "$(cat /out/made)" = "made for ann"
test "$(stat -c '%a %h' /out/made)" = "4711 2"
test "$(ls /opt/copied)" = c
test "$(cat /docs/one /docs/two)" = "first
second yes"
test "$TRIGGERED" = yes
test "$(cat /ctx/src/one.c)" = 1
echo x > /t/written
echo x > /fast/written
echo "runs $(ls /cache | wc -l)"
echo x > /cache/kept
EOF
RUN test ! -e /t && test ! -e /ctx && test ! -e /fast && test ! -e /out/written && echo ALL RIGHT
ENV GREETING="hello \${FROM_BASE}"
CMD ["never", "run"]
`,
      },
      ['--build-arg', 'WHO=ann'],
    );
    assert.match(ended.stderr, /^ +ALL RIGHT$/m);
    assert.match(ended.stderr, /withheld from the build: \.env/);
    assert.match(ended.stderr, /^ +runs 0$/m);
    const line = 'pwd; id -un; echo $GREETING; ls -A / ; ls /opt';
    const said = await warren.ok(
      ['run', '--rm', '--no-repo', '--env', './Dockerfile', '--build-arg', 'WHO=ann', '--', 'sh', '-c', line],
      { cwd: folder },
    );
    const [workdir, user, greeting, ...names] = said.trim().split('\n');
    assert.deepEqual([workdir, user, greeting], ['/work/here', 'root', 'hello yes']);
    assert.deepEqual(
      names.filter((name) => ['ctx', 't', 'fast', 'cache', '.warren'].includes(name)),
      [],
    );
    assert.ok(names.includes('copied') && names.includes('gone'));
    // The cache is there for the next build.
    const again = await build({}, ['--build-arg', 'WHO=ann', '--no-cache']);
    assert.match(again.stderr, /^ +runs 1$/m);
  });

  it('is not built again: an edit runs what follows it, a file’s times change nothing', async () => {
    const dockerfile = (text: string) =>
      `FROM ${base}\nRUN echo first\nCOPY a.txt /\nRUN echo ${text}\nRUN echo last\n`;
    await build({ Dockerfile: dockerfile('middle'), 'a.txt': '1' });
    const again = await build({ 'a.txt': '1' });
    assert.match(again.stderr, /RUN echo last \(cached\)/);
    assert.doesNotMatch(again.stderr, /starting a builder machine/);
    const edited = await build({ Dockerfile: dockerfile('other') });
    assert.deepEqual(ran(edited), ['RUN echo other', 'RUN echo last']);
    const changed = await build({ 'a.txt': '2' });
    assert.deepEqual(ran(changed), ['COPY a.txt /', 'RUN echo other', 'RUN echo last']);
    const back = await build({ 'a.txt': '1' });
    assert.deepEqual(ran(back), []);

    const show = ['template', 'show', './Dockerfile'];
    const shown = await warren.json<TemplateDetail>(show, { cwd: folder });
    assert.match(shown.from!, /^Dockerfile \([0-9a-f]{12}\)$/);
    assert.deepEqual([shown.names, shown.usedBy], [[join(folder, 'Dockerfile')], []]);
    assert.ok(shown.layers.some(({ shared }) => shared) && shown.layers.every(({ bytes }) => bytes > 0));
    assert.equal((await warren.ok(['template', 'show', shown.id.slice(0, 8)])).includes(shown.image), true);
    const dry = await warren.json<PruneResult>(['prune', '--dry-run']);
    assert.ok(existsSync(shown.folder));
    // Of the versions that were built, the one that the Dockerfile says now is what the next build finds.
    assert.equal(dry.templates.includes(shown.id), false);
    assert.ok(dry.templates.length >= 2, `${dry.templates}`);
    const pruned = await warren.json<PruneResult>(['prune']);
    assert.deepEqual([pruned.templates, pruned.images], [dry.templates, dry.images]);
    const known = await build({});
    assert.deepEqual(ran(known), []);
    assert.doesNotMatch(known.stderr, /starting a builder machine|template: /);
    await warren.ok(['prune', '--filter', 'until=0s']);
    await warren.fails(show, 'template.not-found', { cwd: folder });
  });

  it('gives a secret to the step that asks, and to nobody else', async () => {
    const secret = 'canary-7f3a9c1e55';
    const flags = ['--secret', 'id=token,env=TOKEN'];
    const env = { env: { TOKEN: secret } };
    const Dockerfile = `FROM ${base}
RUN --mount=type=secret,id=token cat /run/secrets/token; echo; test "$(cat /run/secrets/token)" = ${secret.slice(0, 8)}\${EMPTY}${secret.slice(8)}
RUN --mount=type=secret,id=token,env=T test -n "$T" && test ! -e /run/secrets/token
RUN test ! -e /run/secrets/token && test -z "$T"
`;
    const ended = await build({ Dockerfile }, flags, env);
    assert.doesNotMatch(ended.stderr, new RegExp(secret));
    assert.match(ended.stderr, /^ +\*\*\*$/m);
    const leak = await build(
      { Dockerfile: `FROM ${base}\nRUN --mount=type=secret,id=token cp /run/secrets/token /kept\n` },
      flags,
      { ...env, fails: 'build.secret-in-layer' },
    );
    assert.doesNotMatch(leak.stderr, new RegExp(secret));
    assert.equal(
      execFileSync('sh', ['-c', `grep -rlF ${secret} ${store} ${warren.data} || true`]).toString(),
      '',
    );
    await build({ Dockerfile: `FROM ${base}\nRUN --mount=type=secret,id=other,required=true true\n` }, [], {
      fails: 'build.no-secret',
    });
  });

  it('reaches what the policy lets it, by the door: RUN and ADD', async () => {
    const plain = await origin(web().listener, { secure: false });
    allow(warren, { host: 'web.warren.test', ports: [plain.port], protocol: 'http', allowPrivate: true });
    const url = `http://web.warren.test:${plain.port}/file`;
    const Dockerfile = `FROM ${base}
RUN ["/bin/busybox", "wget", "-qO", "/got", "${url}"]
ADD ${url} /added/
RUN test -s /got && test -s /added/file && echo FETCHED
RUN --network=none ["/bin/busybox", "sh", "-c", "! wget -T 2 -qO- ${url}"]
`;
    assert.match((await build({ Dockerfile })).stderr, /^ +FETCHED$/m);
    const wrong = await build(
      { Dockerfile: `FROM ${base}\nADD --checksum=sha256:${'0'.repeat(64)} ${url} /x\n` },
      [],
      { fails: 'build.fetch-failed' },
    );
    assert.match(wrong.stderr, /its checksum is sha256:/);
    const denied = await build(
      { Dockerfile: `FROM ${base}\nRUN ["/bin/busybox", "wget", "-qO-", "http://${DENIED}/x"]\n` },
      [],
      { fails: 'build.step-failed' },
    );
    assert.match(
      denied.stderr,
      new RegExp(`not let through: .*${DENIED.replaceAll('.', '\\.')}.*no rule allows it`),
    );
    assert.match(denied.stderr, /try: allow what it needs in warren\.json/);
  });

  it('that fails says which line and why, and what came before is kept', async () => {
    const Dockerfile = `FROM ${base}\nRUN echo before\nRUN echo out; echo "oh dear" >&2; exit 7\n`;
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
      const ended = await warrenBuild(`FROM ${base} AS first\nFROM ${base}\n${line}\n`);
      assert.equal(ended.code, 1, line);
      assert.match(ended.stderr, says);
    }
    await nothingIsLeft();
  });

  it('that fails opens a shell there with --debug, and ends with it, or with whoever asked', async (t) => {
    const line = 'RUN --mount=type=tmpfs,target=/fast echo kept > file; echo LAST WORDS; exit 7';
    const Dockerfile = `FROM ${base}\nENV GREETING=hello\nWORKDIR /work\nRUN chown ann /work\nUSER ann\n${line}\n`;
    write(folder, { Dockerfile });
    const args = ['template', 'build', '--env', './Dockerfile', '--debug'];
    await warren.fails(args, 'usage.no-terminal', { cwd: folder });
    const { shows, type } = terminal(t, args, folder);
    await shows(/line 6,[\s\S]*it exited with 7[\s\S]*LAST WORDS[\s\S]*a shell where it failed/);
    type('echo "= $GREETING $(id -un) $(pwd) $(cat file) $(test -d /fast && echo mounted)"', 'Enter');
    await shows(/^= hello ann \/work kept mounted$/m);
    // Ctrl-C is the shell's.
    type('sleep 1000', 'Enter');
    type('C-c');
    type('exit', 'Enter');
    await shows(/it exited with 7[\s\S]*\[build\.step-failed\][\s\S]*left with 1/);
    await nothingIsLeft();

    const second = terminal(t, args, folder);
    await second.shows(/a shell where it failed/);
    second.close();
    await nothingIsLeft();
  });

  const terminal = (t: TestContext, args: string[], cwd: string) => {
    const opened = openTerminal(warren, args, cwd);
    t.after(() => {
      try {
        opened.close();
      } catch {}
    });
    return opened;
  };

  async function warrenBuild(dockerfile: string): Promise<Ended> {
    write(folder, { Dockerfile: dockerfile });
    return await warren.run(['template', 'build', '--env', './Dockerfile'], { cwd: folder });
  }

  it('is built once for two who ask, and leaves nothing when it is cancelled or its machine is killed', async () => {
    write(folder, { Dockerfile: `FROM ${base}\nRUN echo ONCE\n` });
    const args = ['template', 'build', '--env', './Dockerfile', '--progress', 'plain'];
    const [one, two] = await Promise.all([1, 2].map(() => warren.run(args, { cwd: folder })));
    assert.deepEqual([one!.code, two!.code], [0, 0], one!.stderr);
    assert.equal(
      new Set([one!.stdout + one!.stderr.split('\n').at(-2), two!.stdout + two!.stderr.split('\n').at(-2)])
        .size,
      1,
    );

    const endless = `FROM ${base}\nRUN echo STARTED; exec busybox sleep 1000\n`;
    write(folder, { Dockerfile: endless });
    let pid = 0;
    const cancelled = warren.run(args, {
      cwd: folder,
      onStart: (id) => {
        pid = id;
      },
    });
    await until('the step runs', () => vmms().length > 0 && stepRuns());
    process.kill(pid, 'SIGINT');
    assert.match((await cancelled).stderr, /cancelled/);
    await until('the machine is gone', () => vmms().length === 0);

    const killed = warren.run(args, { cwd: folder });
    await until('the step runs', () => vmms().length > 0 && stepRuns());
    for (const each of vmmsInside()) process.kill(each, 'SIGKILL');
    const ended = await killed;
    assert.notEqual(ended.code, 0);
    assert.match(ended.stderr, /\[(build\.step-failed|machine\.[a-z-]+)\]/);
    await until(
      'nothing is left',
      () => !existsSync(join(warren.data, 'builds')) || readdirSync(join(warren.data, 'builds')).length === 0,
    );
  });

  it('outlives no daemon: what a killed one was building is gone with the next', async () => {
    const first =
      'RUN --mount=type=cache,target=/cache echo "runs $(ls /cache | wc -l)"; echo x > /cache/kept';
    const Dockerfile = `FROM ${base}\n${first}\nRUN sleep 3; echo STARTED; exec busybox sleep 1000\n`;
    write(folder, { Dockerfile });
    const building = warren.run(['template', 'build', '--env', './Dockerfile'], { cwd: folder });
    await until('the step runs', () => vmms().length > 0 && stepRuns());
    const { pid } = JSON.parse(await warren.ok(['daemon', 'status', '--json'])) as { pid: number };
    process.kill(pid, 'SIGKILL');
    assert.notEqual((await building).code, 0);
    await warren.ok(['ls']);
    await nothingIsLeft();
    // What a finished step wrote into a cache is there.
    const again = await build({ Dockerfile: `FROM ${base}\n${first}\n` }, ['--no-cache']);
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

  function stepRuns(): boolean {
    const log = join(store, 'build.log');
    return existsSync(log) && execFileSync('cat', [log]).toString().includes('\nSTARTED');
  }
});

/** What really ran, of what was shown. */
function ran({ stderr }: Ended): string[] {
  return [...stderr.matchAll(/^ +\[(?:\w+ )?\d+\/\d+\] (.*)…$/gm)]
    .map(([, text]) => text!)
    .filter((text) => !text.endsWith(' (cached)'));
}

function folderOf(files: Record<string, string>): string {
  const made = mkdtempSync(join(tmpdir(), 'warren-build-files-'));
  after(() => rmSync(made, { recursive: true, force: true }));
  write(made, files);
  return made;
}
