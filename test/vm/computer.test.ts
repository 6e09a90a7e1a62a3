// Computers that lack something or are in the way: each is told clearly, and leaves nothing behind.

import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type {
  DaemonInfo,
  DoctorCheck,
  SandboxDetail,
  SandboxView,
  TemplateView,
} from '../../src/protocol/api.ts';
import { inSmall, openWarren, type RunOptions, removeAfter, until, Warren } from './harness.ts';

const warren = openWarren();

/** A daemon keeps the environment it began with: each computer gets a new one. */
async function computer(
  env: Record<string, string>,
  work: (options: RunOptions) => Promise<void>,
): Promise<void> {
  await warren.ok(['daemon', 'stop']);
  try {
    await work({ env });
  } finally {
    await warren.run(['daemon', 'stop'], { env });
  }
}

/** A folder of links to the programs of this computer but those. */
function pathWithout(...missing: string[]): string {
  const folder = join(warren.home, `path-${missing.join('-')}`);
  mkdirSync(folder, { recursive: true });
  for (const from of ['/usr/bin', '/usr/sbin', '/bin', '/sbin']) {
    for (const name of existsSync(from) ? readdirSync(from) : []) {
      if (missing.includes(name) || existsSync(join(folder, name))) continue;
      try {
        symlinkSync(join(from, name), join(folder, name));
      } catch {}
    }
  }
  return folder;
}

const nothingLeft = async (options: RunOptions = {}) =>
  assert.deepEqual(await warren.json<SandboxView[]>(['ls'], options), []);

describe('a computer', () => {
  const run = ['run', '--rm', '--no-repo', '--', 'true'];

  it('without QEMU', async () => {
    await computer({ WARREN_QEMU: '/nowhere/qemu' }, async (options) => {
      const { stderr } = await warren.fails(run, 'machine.no-vmm', options);
      assert.match(stderr, /apt-get install .*qemu-system-x86/);
      await nothingLeft(options);
      const checks = await warren.run(['doctor', '--json'], options);
      assert.equal(
        (JSON.parse(checks.stdout) as DoctorCheck[]).find(({ name }) => name === 'vmm')?.state,
        'missing',
      );
    });
  });

  it('with a QEMU that is too old', async () => {
    const old = join(warren.home, 'old-qemu');
    writeFileSync(old, '#!/bin/sh\necho "QEMU emulator version 6.2.0 (Debian 1:6.2)"\n', { mode: 0o755 });
    await computer({ WARREN_QEMU: old }, async (options) => {
      const { stderr } = await warren.fails(run, 'machine.no-vmm', options);
      assert.match(stderr, /6\.2\.0.*7\.2/);
      await nothingLeft(options);
    });
  });

  it('without bwrap: root starts no machine, an ordinary user’s runs and everybody is told', async () => {
    await computer({ PATH: pathWithout('bwrap') }, async (options) => {
      const checks = JSON.parse((await warren.run(['doctor', '--json'], options)).stdout) as DoctorCheck[];
      assert.ok(checks.some(({ state, remedy }) => state === 'weaker' && /bubblewrap/.test(remedy ?? '')));
      if (process.getuid?.() === 0) {
        const { stderr } = await warren.fails(run, 'machine.no-box', options);
        assert.match(stderr, /bubblewrap/);
        return await nothingLeft(options);
      }
      const ended = await warren.run(['run', '--name', 'bare', '--no-repo', '--', 'true'], options);
      assert.equal(ended.code, 0, ended.stderr);
      assert.match(ended.stderr, /without namespaces/);
      const { machine } = await warren.json<SandboxDetail>(['show', 'bare'], options);
      assert.match(machine!.confinement.join(), /NO namespaces/);
      await warren.ok(['rm', 'bare', '--force'], options);
    });
  });

  it('with less memory than asked for, and sizes that no machine can have', async () => {
    const tooMuch = String(Math.ceil(totalmem() / 1024 ** 2) + 1024);
    await warren.fails(['run', '--rm', '--no-repo', '--memory', tooMuch, '--', 'true'], 'sandbox.no-memory');
    await warren.fails(['run', '--rm', '--no-repo', '--memory', '16', '--', 'true'], 'usage.size');
    await nothingLeft();
  });

  it('whose folder of Warren belongs to somebody else, or is a link', async (t) => {
    const home = join(warren.home, 'foreign');
    const data = join(home, '.local/share/warren');
    mkdirSync(data, { recursive: true });
    const env = { HOME: home };
    if (process.getuid?.() === 0) {
      chownSync(data, 65534, 65534);
      await warren.fails(['ls'], 'host.foreign-folder', { env });
    } else t.diagnostic('only root can give a folder away: the link alone was tried');
    rmSync(data, { recursive: true });
    symlinkSync(warren.home, data);
    const { stderr } = await warren.fails(['ls'], 'host.foreign-folder', { env });
    assert.match(stderr, /mv /);
  });

  it('where it is called with sudo, in the home of whoever calls: refused, and nothing of root is left there (MU 117)', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('only root can be called by sudo');
    const home = join(warren.home, 'callers');
    mkdirSync(home);
    chownSync(home, 65534, 65534);
    const { stderr } = await warren.fails(['ls'], 'host.foreign-folder', {
      env: { HOME: home, SUDO_UID: '65534' },
    });
    assert.match(stderr, /without sudo/);
    assert.deepEqual(readdirSync(home), []);
    // By root's own home it is root's own.
    assert.equal((await warren.run(['ls'], { env: { SUDO_UID: '65534' } })).code, 0);
  });

  it('where two daemons are started at once', async () => {
    await warren.ok(['daemon', 'stop']);
    const starts = await Promise.all(Array.from({ length: 6 }, () => warren.run(['daemon', 'start'])));
    for (const { code, stderr } of starts) assert.equal(code, 0, stderr);
    const { pid } = await warren.json<DaemonInfo>(['daemon', 'status']);
    await Promise.all(Array.from({ length: 4 }, () => warren.ok(['ls'])));
    assert.equal((await warren.json<DaemonInfo>(['daemon', 'status'])).pid, pid);
  });

  it('with commas, spaces and quotes in every path', async (t) => {
    const odd = join(warren.home, `o,d d"'=é`);
    const repository = warren.repository(`o,d d"'=é/re,po`);
    const env = { XDG_DATA_HOME: join(odd, 'da,ta'), XDG_RUNTIME_DIR: join(odd, 'run,time') };
    for (const folder of Object.values(env)) mkdirSync(folder, { recursive: true, mode: 0o700 });
    t.after(async () => {
      await warren.run(['rm', '--force', 'odd'], { env });
      await warren.run(['daemon', 'stop'], { env });
    });
    await warren.ok(['up', '--detach', '--name', 'odd'], { cwd: repository, env });
    await warren.ok(['exec', 'odd', '--', 'sh', '-c', 'echo in >> a.txt; git commit -qam in'], { env });
    await warren.ok(['merge', 'odd'], { cwd: repository, env });
    assert.equal(readFileSync(join(repository, 'a.txt'), 'utf8'), 'one\nin\n');
    await warren.ok(['rm', 'odd'], { env });
  });
});

describe('a disk', () => {
  it('that is full while a template is built leaves none, and says so', async () => {
    await warren.ok(['daemon', 'stop']);
    const home = join(warren.home, 'small');
    const store = join(home, 'store');
    // The store is small, but the images and kernels, which are there already, are those of this computer.
    const script = `
      mkdir -m 700 -p '${store}/templates' && cp '${warren.env['WARREN_STORE']}/accelerator.json' '${store}/' 2>/dev/null || true
      ln -s '${warren.env['WARREN_STORE']}/images' '${store}/images'; ln -s '${warren.env['WARREN_STORE']}/kernels' '${store}/kernels'
      set +e; "$W" run --rm --no-repo -- true 2>&1; echo "code $?"; ls '${store}/templates' | wc -l; "$W" daemon stop >/dev/null 2>&1`;
    const said = inSmall(warren, 60, home, script, { HOME: home, WARREN_STORE: store });
    assert.match(said, /no space left|disk is full/i);
    assert.match(said, /code 1\n0\n/);
    assert.doesNotMatch(said, /^\s+at /m);
  });

  it('that fills up while a guest writes stops the machine, which goes on once there is room', async () => {
    await warren.ok(['daemon', 'stop']);
    const home = join(warren.home, 'filling');
    const script = `
      cd "$HOME"; "$W" run --no-repo --name f -- true
      head -c 120M /dev/zero > "$HOME/ballast"
      ("$W" exec f -- sh -c 'head -c 100M /dev/urandom > /tmp/big && sync && sha256sum < /tmp/big > /tmp/sum && echo written' > "$HOME/../said" 2>&1 || true) &
      for i in $(seq 600); do "$W" ls --json | grep -q '"paused"' && break; sleep 0.1; done
      "$W" show f --json; "$W" resume f 2>&1 || echo "code $?"
      rm "$HOME/ballast"; "$W" resume f
      wait; "$W" exec f -- sh -c 'for i in $(seq 300); do test -s /tmp/sum && break; sleep 0.2; done; test "$(sha256sum < /tmp/big)" = "$(cat /tmp/sum)" && echo whole'
      "$W" rm f --force; "$W" daemon stop >/dev/null 2>&1`;
    const said = inSmall(warren, 200, home, script, { HOME: home });
    assert.match(said, /the host's disk is full/);
    assert.match(said, /\[sandbox\.disk-full\]/);
    assert.match(said, /whole\n/);
  });

  it('that has room again at once: news of it that the VMM held back stop nobody', async () => {
    await warren.ok(['daemon', 'stop']);
    const home = join(warren.home, 'held-back');
    // Several writes fail together; QEMU tells of the first, and of the others a second later.
    const write =
      'for i in 1 2 3 4 5 6 7 8; do dd if=/dev/urandom of=/tmp/o$i bs=1M count=12 oflag=direct & done; wait';
    const script = `
      cd "$HOME"; "$W" run --no-repo --name f -- true
      head -c 120M /dev/zero > "$HOME/ballast"
      ("$W" exec f -- sh -c '${write}' > /dev/null 2>&1 || true) &
      for i in $(seq 600); do "$W" ls --json | grep -q '"paused"' && break; sleep 0.1; done
      rm "$HOME/ballast"; "$W" resume f; sleep 2; "$W" ls --json
      "$W" rm f --force; "$W" daemon stop >/dev/null 2>&1`;
    const said = inSmall(warren, 200, home, script, { HOME: home });
    assert.match(said, /"state": "running"/);
  });
});

describe('files of Warren that are spoiled', () => {
  it('a record of a sandbox: told, kept, and the others work', async (t) => {
    removeAfter(t, warren, 'good');
    await warren.ok(['up', '--detach', '--name', 'good'], { cwd: warren.repository('good') });
    const folder = join(warren.data, 'sandboxes', 'abcdef012345');
    mkdirSync(folder, { mode: 0o700 });
    writeFileSync(join(folder, 'sandbox.json'), '{"version": 1, "id": ');
    await warren.ok(['daemon', 'stop']);
    assert.deepEqual(
      (await warren.json<SandboxView[]>(['ls'])).map(({ name }) => name),
      ['good'],
    );
    assert.ok(existsSync(join(folder, 'sandbox.json')));
    const checks = JSON.parse((await warren.run(['doctor', '--json'])).stdout) as DoctorCheck[];
    assert.ok(
      checks.some(({ says }) => says.includes('abcdef012345')),
      JSON.stringify(checks),
    );
    rmSync(folder, { recursive: true });
  });

  it('a template that is cut short or gone is not used: another is built', async () => {
    const own = new Warren();
    try {
      // Links: the template's own folder is private to this test.
      const store = join(own.home, 'store');
      mkdirSync(join(store, 'templates'), { recursive: true, mode: 0o700 });
      for (const name of ['images', 'kernels', 'accelerator.json'])
        symlinkSync(join(own.env['WARREN_STORE']!, name), join(store, name));
      const env = { WARREN_STORE: store };
      await own.ok(['run', '--rm', '--no-repo', '--', 'true'], { env });
      const [first] = await own.json<TemplateView[]>(['template', 'ls'], { env });
      const memory = join(store, 'templates', first!.id, 'memory.img');
      chmodSync(memory, 0o600);
      truncateSync(memory, 1024 * 1024);
      const listed = await own.json<TemplateView[]>(['template', 'ls'], { env });
      assert.match(listed[0]!.damaged ?? '', /memory/);
      await own.ok(['run', '--rm', '--no-repo', '--', 'true'], { env });
      const second = (await own.json<TemplateView[]>(['template', 'ls'], { env })).find(
        ({ damaged }) => !damaged,
      );
      assert.notEqual(second!.id, first!.id);
      rmSync(join(store, 'templates', second!.id, 'device.state'), { force: true });
      await own.ok(['run', '--rm', '--no-repo', '--', 'true'], { env });
      await own.ok(['daemon', 'stop'], { env });
    } finally {
      await own.close();
    }
  });
});

describe('Ctrl-C', () => {
  it('at every stage of `up` leaves nothing, or all of it', async () => {
    const repository = warren.repository(
      'stages',
      Object.fromEntries(Array.from({ length: 300 }, (_, nr) => [`f${nr}`, `${nr}\n`])),
    );
    for (const delayMs of [80, 200, 350, 500, 650, 800, 1000]) {
      const { code, stderr } = await warren.run(['up', '--detach'], {
        cwd: repository,
        onStart: (pid) => void setTimeout(() => interrupt(pid), delayMs),
      });
      const sandboxes = await until('settled', async () => {
        const all = await warren.json<SandboxView[]>(['ls']);
        return all.every(({ state }) => state === 'running') ? all : undefined;
      });
      if (code !== 0) assert.equal(code, 130, `${delayMs} ms: ${stderr}`);
      if (sandboxes.length > 0) {
        // It was up when the key was pressed, or the daemon's last word was under way: all of it is there.
        assert.equal(
          await warren.sh('stages', 'git status --porcelain; ls | wc -l'),
          '300\n',
          `${delayMs} ms`,
        );
        await warren.ok(['rm', 'stages']);
      } else {
        assert.equal(code, 130, `${delayMs} ms`);
        assert.deepEqual(
          readdirSync(join(warren.data, 'sandboxes')).filter((name) => !name.startsWith('.')),
          [],
        );
      }
      assert.equal(warren.git(repository, 'status', '--porcelain'), '');
      assert.equal(warren.git(repository, 'for-each-ref', 'refs/warren'), '');
    }
  });
});

/** One that has ended needs no signal. */
function interrupt(pid: number): void {
  try {
    process.kill(pid, 'SIGINT');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
