// Dockerfiles as environments: built in a machine, step by step; what is known is not built again.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { PruneResult, TemplateDetail } from '../../src/protocol/api.ts';
import { build, missing, now, ran, serveBase, store, warren } from './dockerfile-builds.ts';
import { allow, DENIED, origin, web } from './door-origins.ts';
import { write } from './harness.ts';

describe('a Dockerfile', { skip: missing }, () => {
  serveBase();

  it('is built as it says: files, owners, modes, users, mounts, stages, here-documents, triggers', async () => {
    const archive = execFileSync('tar', ['-C', folderOf({ 'deep/file': 'packed' }), '-c', '.']);
    write(now.folder, {
      'src/one.c': '1',
      'src/two.c': '2',
      'src/sub/three.h': '3',
      'src/skip.log': 'no',
      '.env': 'SECRET=1',
    });
    writeFileSync(join(now.folder, 'packed.tar.gz'), gzipSync(archive));
    const ended = await build(
      {
        '.dockerignore': '**/*.log\n',
        Dockerfile: `FROM ${now.base} AS tools
ARG WHO=nobody
RUN mkdir -p /out && echo "made for $WHO" > /out/made && ln /out/made /out/same && chmod 4711 /out/made
RUN rm -rf /opt/low /opt/gone && mkdir /opt/low && echo new > /opt/low/c
FROM ${now.base}
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
      { cwd: now.folder },
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
      `FROM ${now.base}\nRUN echo first\nCOPY a.txt /\nRUN echo ${text}\nRUN echo last\n`;
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
    const shown = await warren.json<TemplateDetail>(show, { cwd: now.folder });
    assert.match(shown.from!, /^Dockerfile \([0-9a-f]{12}\)$/);
    assert.deepEqual([shown.names, shown.usedBy], [[join(now.folder, 'Dockerfile')], []]);
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
    await warren.fails(show, 'template.not-found', { cwd: now.folder });
  });

  it('gives a secret to the step that asks, and to nobody else', async () => {
    const secret = 'canary-7f3a9c1e55';
    const flags = ['--secret', 'id=token,env=TOKEN'];
    const env = { env: { TOKEN: secret } };
    const Dockerfile = `FROM ${now.base}
RUN --mount=type=secret,id=token cat /run/secrets/token; echo; test "$(cat /run/secrets/token)" = ${secret.slice(0, 8)}\${EMPTY}${secret.slice(8)}
RUN --mount=type=secret,id=token,env=T test -n "$T" && test ! -e /run/secrets/token
RUN test ! -e /run/secrets/token && test -z "$T"
`;
    const ended = await build({ Dockerfile }, flags, env);
    assert.doesNotMatch(ended.stderr, new RegExp(secret));
    assert.match(ended.stderr, /^ +\*\*\*$/m);
    const leak = await build(
      { Dockerfile: `FROM ${now.base}\nRUN --mount=type=secret,id=token cp /run/secrets/token /kept\n` },
      flags,
      { ...env, fails: 'build.secret-in-layer' },
    );
    assert.doesNotMatch(leak.stderr, new RegExp(secret));
    assert.equal(
      execFileSync('sh', ['-c', `grep -rlF ${secret} ${store} ${warren.data} || true`]).toString(),
      '',
    );
    await build(
      { Dockerfile: `FROM ${now.base}\nRUN --mount=type=secret,id=other,required=true true\n` },
      [],
      {
        fails: 'build.no-secret',
      },
    );
  });

  it('reaches what the policy lets it, by the door: RUN and ADD', async () => {
    const plain = await origin(web().listener, { secure: false });
    allow(warren, { host: 'web.warren.test', ports: [plain.port], protocol: 'http', allowPrivate: true });
    const url = `http://web.warren.test:${plain.port}/file`;
    const Dockerfile = `FROM ${now.base}
RUN ["/bin/busybox", "wget", "-qO", "/got", "${url}"]
ADD ${url} /added/
RUN test -s /got && test -s /added/file && echo FETCHED
RUN --network=none ["/bin/busybox", "sh", "-c", "! wget -T 2 -qO- ${url}"]
`;
    assert.match((await build({ Dockerfile })).stderr, /^ +FETCHED$/m);
    const wrong = await build(
      { Dockerfile: `FROM ${now.base}\nADD --checksum=sha256:${'0'.repeat(64)} ${url} /x\n` },
      [],
      { fails: 'build.fetch-failed' },
    );
    assert.match(wrong.stderr, /its checksum is sha256:/);
    const denied = await build(
      { Dockerfile: `FROM ${now.base}\nRUN ["/bin/busybox", "wget", "-qO-", "http://${DENIED}/x"]\n` },
      [],
      { fails: 'build.step-failed' },
    );
    assert.match(
      denied.stderr,
      new RegExp(`not let through: .*${DENIED.replaceAll('.', '\\.')}.*no rule allows it`),
    );
    assert.match(denied.stderr, /try: allow what it needs in warren\.json/);
  });
});

function folderOf(files: Record<string, string>): string {
  const made = mkdtempSync(join(tmpdir(), 'warren-build-files-'));
  after(() => rmSync(made, { recursive: true, force: true }));
  write(made, files);
  return made;
}
