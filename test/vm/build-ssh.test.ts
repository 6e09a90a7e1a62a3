// `RUN --mount=type=ssh` in a real machine, with OpenSSH's own agent and programs: a step signs with a key that it never
// has, and cannot change what is in the agent; nothing of it stays.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { staticBusybox } from '../image/debian-program.ts';
import { hostPrograms } from '../image/host-programs.ts';
import { busyboxEntries, makeImage, makeTar, push } from '../image/make-image.ts';
import { type RunningRegistry, registryProgram, startRegistry } from '../image/registry-program.ts';
import { noOpenSsh, type RunningSshAgent, startSshAgent } from '../image/ssh-agent.ts';
import { allow, DENIED, openDoorWarren } from './door-origins.ts';
import { type Ended, write } from './harness.ts';
import { findSshd, sshOrigin } from './ssh-origin.ts';
import { openTerminal } from './terminal.ts';

const registryFound = registryProgram();
const box = staticBusybox();
const missing =
  noOpenSsh || ('missing' in registryFound && registryFound.missing) || ('missing' in box && box.missing);
const warren = openDoorWarren();

const SIGNS = `COPY key.pub /key.pub
RUN --mount=type=ssh <<EOF
set -eu
test "$SSH_AUTH_SOCK" = /run/buildkit/ssh_agent.0
test "$(stat -c '%F %a %u' $SSH_AUTH_SOCK)" = "socket 600 0"
ssh-add -l
echo what is signed > /text
ssh-keygen -Y sign -n test -f /key.pub /text
cat /text.sig
EOF
RUN --mount=type=ssh <<EOF
set -u
ssh-keygen -q -t ed25519 -N '' -f /tmp/own
for args in -D "-d /key.pub" /tmp/own "-e /lib/x.so"; do ssh-add $args && echo WAS LET; done
rm /tmp/own*
(while :; do ssh-add -l; done) > /dev/null 2>&1 &
ssh-add -l
EOF
USER ann
RUN --mount=type=ssh --mount=type=ssh,id=other,target=/home/ann/agent,uid=1234,mode=0400 <<EOF
set -eu
if ssh-add -l; then exit 1; fi
if SSH_AUTH_SOCK=/home/ann/agent ssh-add -l; then exit 1; fi
EOF
RUN --mount=type=ssh,uid=1234 --network=none ssh-add -l && echo BY ANN
USER root
RUN test -z "$SSH_AUTH_SOCK" && test ! -e /run/buildkit && test ! -e /home/ann/agent && echo NOTHING LEFT
`;

describe('an SSH agent for a build', { skip: missing, timeout: 900_000 }, () => {
  const scratch = mkdtempSync(join(tmpdir(), 'warren-build-ssh-'));
  let registry: RunningRegistry;
  let agent: RunningSshAgent;
  let base: string;
  let folder: string;
  let nr = 0;

  before(async () => {
    agent = await startSshAgent();
    registry = await startRegistry((registryFound as { program: string }).program, join(scratch, 'registry'));
    const layer = await makeTar([
      ...busyboxEntries((box as { program: string }).program),
      ...hostPrograms(['ssh', 'ssh-add', 'ssh-keygen', 'git']),
      { name: 'tmp/', mode: 0o1777 },
    ]);
    await push(registry.url, 'ssh', '1', makeImage([layer], { Env: ['PATH=/bin'] }));
    base = `${registry.host}/ssh:1`;
  });
  after(async () => {
    agent?.stop();
    await registry?.stop();
    rmSync(scratch, { recursive: true, force: true });
  });
  beforeEach(() => {
    folder = join(warren.home, `context-${nr++}`);
  });

  async function build(dockerfile: string, flags: string[], code = 0): Promise<Ended> {
    write(folder, { Dockerfile: `FROM ${base}\n${dockerfile}`, 'key.pub': agent.publicKey });
    const args = ['template', 'build', '--env', './Dockerfile', '--progress', 'plain', ...flags];
    const ended = await warren.run(args, { cwd: folder, env: { SSH_AUTH_SOCK: agent.socket } });
    assert.equal(ended.code, code, ended.stderr);
    return ended;
  }

  it('lists and signs in the step that mounts it, and nothing of it is left', async () => {
    const before = agent.keys();
    const { stderr } = await build(SIGNS, ['--ssh', 'default', '--ssh', `other=${agent.socket}`]);
    const listed = `^ +256 ${escaped(agent.fingerprint)} a test \\(ED25519\\)$`;
    assert.equal([...stderr.matchAll(new RegExp(listed, 'gm'))].length, 3);
    assert.match(stderr, /^ +BY ANN$/m);
    assert.match(stderr, /^ +NOTHING LEFT$/m);
    assert.doesNotMatch(stderr, /^ +WAS LET/m);
    const signed = `signed with ${escaped(agent.fingerprint)} of the SSH agent "default": once`;
    assert.match(stderr, new RegExp(signed));
    assert.equal(agent.keys(), before);
    assert.match(verify(stderr), /^Good "test" signature for ann/);
    // What it gave is known without it.
    const again = await build(SIGNS, []);
    assert.doesNotMatch(again.stderr, /starting a builder machine/);
    const line = 'ls -A / /run /home/ann';
    const args = ['run', '--rm', '--no-repo', '--env', './Dockerfile', '--', 'sh', '-c', line];
    const kept = await warren.ok(args, { cwd: folder });
    assert.doesNotMatch(kept, /buildkit|agent/);
  });

  /** The signature that the step has printed. */
  function verify(said: string): string {
    const lines = said.split('\n').map((line) => line.trim());
    const begin = lines.indexOf('-----BEGIN SSH SIGNATURE-----');
    const signature = lines.slice(begin, lines.indexOf('-----END SSH SIGNATURE-----') + 1).join('\n');
    writeFileSync(join(scratch, 'text.sig'), `${signature}\n`);
    writeFileSync(join(scratch, 'allowed'), `ann ${agent.publicKey}`);
    const args = ['-Y', 'verify', '-n', 'test', '-f', 'allowed', '-I', 'ann', '-s', 'text.sig'];
    return String(execFileSync('ssh-keygen', args, { cwd: scratch, input: 'what is signed\n' }));
  }

  it('is an error of the line that requires it, and is left out of the others', async () => {
    const { stderr } = await build('RUN true\nRUN --mount=type=ssh,id=deploy,required ssh-add -l\n', [], 1);
    assert.match(stderr, /cannot build line 3, .*: the step needs the SSH agent "deploy"/);
    assert.match(stderr, /\[build\.no-ssh\]\n {2}try: --ssh deploy /);
    const ended = await build('RUN --mount=type=ssh test ! -e "$SSH_AUTH_SOCK" && echo LEFT OUT\n', [
      '--no-cache',
    ]);
    assert.match(ended.stderr, /^ +LEFT OUT$/m);
    writeFileSync(join(scratch, 'key'), 'a key');
    const wrong = await build('RUN true\n', ['--ssh', `default=${join(scratch, 'key')}`], 2);
    assert.match(wrong.stderr, /\[usage\.build\]\n {2}try: give the key to an agent: ssh-add .*key/);
  });

  it('is there in the shell of a step that failed', async (t) => {
    write(folder, { Dockerfile: `FROM ${base}\nRUN --mount=type=ssh ssh-add -l && exit 3\n` });
    const flags = ['--debug', '--ssh', `default=${agent.socket}`];
    const opened = openTerminal(warren, ['template', 'build', '--env', './Dockerfile', ...flags], folder);
    t.after(() => opened.close());
    await opened.shows(/it exited with 3[\s\S]*a shell where it failed/);
    opened.type('clear; ssh-add -l; echo = $?', 'Enter');
    await opened.shows(/a test \(ED25519\)\s+= 0/);
    opened.type('exit', 'Enter');
    await opened.shows(/\[build\.step-failed\]/);
  });

  it('clones over SSH, by the door, with a key that is for this host alone', async (t: TestContext) => {
    const sshd = findSshd();
    if ('missing' in sshd) return t.skip(sshd.missing);
    const repository = warren.repository('origin', { 'private.txt': 'by ssh\n' });
    const bound = await startSshAgent();
    t.after(bound.stop);
    const server = await sshOrigin(sshd, join(scratch, 'sshd'), bound.publicKey);
    t.after(() => server.close());
    bound.bind('git.warren.test', server.hostKey);
    allow(warren, { host: 'git.warren.test', ports: [server.port], protocol: 'tcp', allowPrivate: true });
    const known = `[git.warren.test]:${server.port} ${server.hostKey.trim()}`;
    const url = `ssh://${server.user}@git.warren.test:${server.port}${repository}`;
    const { stderr } = await build(
      `RUN mkdir -p /root/.ssh && echo "${known}" > /root/.ssh/known_hosts
RUN --mount=type=ssh,id=bound git clone -q ${url} /got && cat /got/private.txt
RUN echo x > /x; echo "${bound.publicKey.trim()}" > /key.pub
RUN --mount=type=ssh,id=bound ssh-add -l && ! ssh-keygen -Y sign -n test -f /key.pub /x
`,
      ['--ssh', `bound=${bound.socket}`],
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${server.said()}`);
    });
    assert.match(stderr, /^ +by ssh$/m);
    assert.match(stderr, /of the SSH agent "bound": once/);
    assert.match(stderr, /agent refused operation/);
    const denied = await build(`RUN ssh ${DENIED}\n`, [], 1);
    assert.match(denied.stderr, /not let through: denied\.warren\.test:22: no rule allows it/);
    assert.match(
      denied.stderr,
      /"allow": \[\{"host": "denied\.warren\.test", "protocol": "tcp", "ports": \[22\]\}\]/,
    );
    assert.equal(readFileSync(join(repository, 'private.txt'), 'utf8'), 'by ssh\n');
  });
});

function escaped(text: string): string {
  return text.replaceAll(/[+/.]/g, '\\$&');
}
