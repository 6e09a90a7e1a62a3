// `prepare`: what a repository wants done once is done once, frozen with all that it started, and done again only when a
// file changes that decides it. Sandboxes of it stand where the host stands.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TemplateView, UpResult } from '../../src/protocol/api.ts';
import type { PortsView } from '../../src/protocol/forwards.ts';
import { inSmall, openWarren, processes, removeAfter, until, write } from './harness.ts';

const warren = openWarren();
const up = async (cwd: string, name: string, flags: string[] = []) =>
  await warren.json<UpResult>(['up', '--name', name, ...flags], { cwd });
const reused = ({ layers }: UpResult) =>
  Object.fromEntries(layers.map((layer) => [layer.kind, layer.reused]));
/** Prepared for a repository: other tests share the store. */
const prepared = async (repository: string) =>
  (await warren.json<TemplateView[]>(['template', 'ls'])).filter(
    ({ preparedFor }) => preparedFor === repository,
  );

const PREPARE = [
  'mkdir -p node_modules && cp package-lock.json node_modules/lock && cat /proc/sys/kernel/random/uuid > node_modules/made',
  // Files that a command names would decide as well.
  'x=.txt; echo "spoiled" >> tracked$x; rm removed$x; echo built > later$x',
  'nohup sleep 100000 > /dev/null 2>&1 &',
];
const FILES = {
  'warren.json': JSON.stringify({ prepare: PREPARE }),
  'package-lock.json': '{}',
  'tracked.txt': 'one\n',
  'removed.txt': 'here\n',
  '.gitignore': 'node_modules\n',
};

const readOr = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8') : '');
const parentOf = (pid: number) =>
  Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

describe('a repository that is prepared', { timeout: 900_000 }, () => {
  it('is prepared once, and each sandbox stands where the host stands', async (t) => {
    removeAfter(t, warren, 'first', 'second', 'third', 'fourth');
    const repository = warren.repository('prepared', FILES);
    const first = await up(repository, 'first');
    assert.deepEqual(reused(first).prepared, false);
    const made = await warren.sh('first', 'cat node_modules/made');
    const [{ template }, all] = [first.sandbox, await warren.json<TemplateView[]>(['template', 'ls'])];
    assert.equal(all.find(({ id }) => id === template)?.preparedFor, repository);
    assert.equal(await warren.sh('first', 'git status --porcelain'), '?? later.txt\n');
    assert.equal(await warren.sh('first', 'cat tracked.txt removed.txt'), 'one\nhere\n');
    assert.match(await warren.sh('first', 'ps -eo args'), /^sleep 100000$/m, 'what it started goes on');

    // The host goes on; what decides stays as it is.
    write(repository, { 'later.txt': 'of the host\n', 'tracked.txt': 'two\n' });
    warren.git(repository, 'rm', '-q', 'removed.txt');
    warren.git(repository, 'add', '-A');
    warren.git(repository, 'commit', '-q', '-m', 'second');
    write(repository, { 'tracked.txt': 'not committed\n' });
    const second = await up(repository, 'second');
    assert.deepEqual(reused(second), { image: true, template: true, prepared: true });
    assert.equal(await warren.sh('second', 'cat node_modules/made'), made, 'done once');
    assert.equal(await warren.sh('second', 'git log --format=%s'), 'second\nfirst\n');
    assert.equal(await warren.sh('second', 'git status --porcelain'), ' M tracked.txt\n');
    assert.equal(
      await warren.sh('second', 'cat later.txt tracked.txt; ls'),
      'of the host\nnot committed\nlater.txt\nnode_modules\npackage-lock.json\ntracked.txt\nwarren.json\n',
    );
    assert.equal(await warren.sh('second', 'git branch --format="%(refname)"'), 'refs/heads/warren/second\n');

    // Work comes home from it as from any other.
    await warren.sh(
      'second',
      'git checkout -q tracked.txt && echo done > work.txt && git add work.txt && git commit -q -m work',
    );
    warren.git(repository, 'checkout', '-q', 'tracked.txt');
    await warren.ok(['merge', 'second'], { cwd: repository });
    assert.equal(warren.git(repository, 'log', '-1', '--format=%s'), 'work\n');

    // It decides.
    write(repository, { 'package-lock.json': '{"a": 1}' });
    const third = await up(repository, 'third');
    assert.deepEqual(reused(third), { image: true, template: true, prepared: false });
    assert.notEqual(await warren.sh('third', 'cat node_modules/made'), made);
    assert.equal(await warren.sh('third', 'cat node_modules/lock'), '{"a": 1}');

    assert.deepEqual(reused(await up(repository, 'fourth', ['--no-prepare'])).prepared, undefined);
    assert.equal(await warren.sh('fourth', 'ls -d node_modules || true'), '');
    // It boots from its own disk like any other.
    await warren.ok(['stop', 'second']);
    await warren.ok(['start', 'second']);
    assert.equal(await warren.sh('second', 'cat node_modules/made'), made);
  });

  it('is told why it cannot be, with the last words, and leaves nothing', async () => {
    const repository = warren.repository('unprepared', {
      'warren.json': JSON.stringify({ prepare: 'echo so far; echo "it broke" >&2; exit 7' }),
    });
    const { stderr } = await warren.fails(['up', '--detach'], 'prepare.failed', { cwd: repository });
    assert.match(stderr, /exited with 7\s+so far\s+it broke/);
    assert.match(stderr, /warren up --no-prepare/);
    const log = /\S+prepare\.log/.exec(stderr)?.[0];
    assert.match(readFileSync(log!, 'utf8'), /so far\nit broke\n/);
    assert.deepEqual(await warren.json(['ls']), []);
    assert.deepEqual(await prepared(repository), []);

    const endless = warren.repository('endless', {
      'warren.json': JSON.stringify({ prepare: { run: 'sleep 1000', timeout: 2 } }),
    });
    const late = await warren.fails(['up', '--detach'], 'prepare.failed', { cwd: endless });
    assert.match(late.stderr, /not done after 2 s/);
    assert.deepEqual(await prepared(endless), []);
  });

  it('reaches what the policy lets it, and says what it did not', async () => {
    const repository = warren.repository('cut-off', {
      'warren.json': JSON.stringify({ prepare: 'curl -sS --fail https://no.example/' }),
    });
    const { stderr } = await warren.fails(['up', '--detach'], 'prepare.failed', { cwd: repository });
    assert.match(stderr, /not let through: .*no\.example/);
  });

  it('does not reach the ports of other sandboxes by stable names, whatever a rule says', async (t) => {
    removeAfter(t, warren, 'beside');
    await up(warren.repository('beside'), 'beside');
    const { port } = (await warren.json<PortsView>(['forward', 'ls', 'beside'])).names;
    const settings = join(warren.home, '.config/warren');
    t.after(() => write(settings, { 'config.json': '{}' }));
    write(settings, {
      'config.json': JSON.stringify({ egress: { allow: [{ hostService: port, protocol: 'http' }] } }),
    });
    const prepare = `curl -sS --fail-with-body http://host.warren.internal:${port}/`;
    const repository = warren.repository('curious', { 'warren.json': JSON.stringify({ prepare }) });
    const { stderr } = await warren.fails(['up', '--detach'], 'prepare.failed', { cwd: repository });
    assert.match(stderr, new RegExp(`port ${port} of this computer leads to ports of all sandboxes`));
  });

  it('is given up by Ctrl-C, and leaves nothing', async () => {
    const repository = warren.repository('given-up', {
      'warren.json': JSON.stringify({ prepare: 'sleep 1001' }),
    });
    let pid = 0;
    const making = warren.run(['up', '--detach'], { cwd: repository, onStart: (started) => (pid = started) });
    const log = join(warren.data, 'projects');
    await until(
      'its commands',
      () =>
        existsSync(log) &&
        readdirSync(log).some((each) => /sleep 1001/.test(readOr(join(log, each, 'prepare.log')))),
    );
    process.kill(pid, 'SIGINT');
    assert.equal((await making).code, 130);
    await until('its end', async () => ((await warren.ok(['ls', '--json'])) === '[]\n' ? true : undefined));
    assert.deepEqual(await prepared(repository), []);
  });

  it('is given up when the disk is full, and says so', async () => {
    // Daemon and data in a small file system of their own; what is there already is linked.
    const home = join(warren.home, 'small');
    const store = join(home, 'store');
    const shared = warren.env['WARREN_STORE']!;
    const script = `
      mkdir -m 700 -p '${store}' && cp '${shared}/accelerator.json' '${store}/' 2>/dev/null || true
      ln -s '${shared}/images' '${store}/images'; ln -s '${shared}/kernels' '${store}/kernels'
      git init -q '${home}/r' && cd '${home}/r' && git config user.name a && git config user.email a@b
      echo '{"memory": 512, "prepare": "head -c 900M /dev/urandom > /var/tmp/big && sync"}' > warren.json && git add -A && git commit -qm x
      set +e; "$W" up --detach 2>&1; echo "code $?"; ls '${store}/templates' | wc -l; "$W" ls --json; "$W" daemon stop >/dev/null 2>&1`;
    const said = inSmall(warren, 950, home, script, { HOME: home, WARREN_STORE: store });
    assert.match(said, /disk is full/);
    assert.match(said, /code 1\n1\n\[\]\n/, 'the template that it went on from stays');
  });

  it('leaves no machine when its daemon is killed', async () => {
    const repository = warren.repository('killed', {
      'warren.json': JSON.stringify({ prepare: 'sleep 1000' }),
    });
    const making = warren.run(['up', '--detach'], { cwd: repository });
    const { pid } = await warren.json<{ pid: number }>(['daemon', 'status']);
    // Machines of others may run beside it.
    const box = await until('its machine', () =>
      processes((args) => args.some((arg) => arg.startsWith('warren-build-'))).find(
        (each) => parentOf(each) === pid,
      ),
    );
    process.kill(pid, 'SIGKILL');
    assert.notEqual((await making).code, 0);
    assert.deepEqual(await warren.json(['ls']), []);
    await until('its end', () => !existsSync(`/proc/${box}`));
    assert.deepEqual(await prepared(repository), []);
  });
});
