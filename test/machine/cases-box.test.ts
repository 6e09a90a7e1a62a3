// The box around a VMM, tried from inside; disks whose headers lie; templates that somebody tampered with; a KVM that is
// there and hangs (VH 98, 100, 102, 104).

import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { templateFiles } from '../../src/host/layout.ts';
import { chooseAccelerator, describeAccelerator } from '../../src/machine/accelerator.ts';
import { confine } from '../../src/machine/confine.ts';
import type { Control, Driver, DriverFound, MachineSpec, Plan } from '../../src/machine/driver.ts';
import { planQemu } from '../../src/machine/drivers/qemu/plan.ts';
import { machineUid, probeConfinement } from '../../src/machine/probe-confinement.ts';
import { openTemplate, type TemplateRecord } from '../../src/machine/template.ts';
import { listenOn, until } from '../egress/fake-guest.ts';

const folder = mkdtempSync(join(tmpdir(), 'warren-box-'));
// The machine's own uid must come through to what the plan names.
chmodSync(folder, 0o755);
after(() => rmSync(folder, { recursive: true, force: true }));
const execute = promisify(execFile);
const asRoot = process.getuid?.() === 0;
const confinement = await probeConfinement();
const uid = machineUid('boxed');
const box = { confinement, ...(uid !== undefined && { uid }) };
const noBox = confinement.namespaces ? false : `bwrap does not work here: ${confinement.why}`;
const found: DriverFound = {
  kind: 'found',
  binary: process.env['WARREN_QEMU'] ?? '/usr/bin/qemu-system-x86_64',
  version: '10.0.2',
  readonlyMemory: true,
  stateByName: true,
};
const spec: MachineSpec = {
  id: 'boxed',
  cpus: 1,
  memoryMib: 256,
  accelerator: { kind: 'emulation', why: 'a test' },
  kernel: { vmlinuz: '/nowhere/vmlinuz' },
  layers: [],
  disk: { kind: 'raw', file: '/nowhere/disk' },
  diskGib: 1,
  memory: { file: '/nowhere/memory', shared: false },
  sockets: { folder: '/nowhere', qmp: '/nowhere/qmp', agent: '/nowhere/agent', egress: '/nowhere/egress' },
};

describe('a program in the box of a VMM (VH 98)', { skip: noBox }, () => {
  const writable = join(folder, 'writable');
  const readable = join(folder, 'readable');
  const sockets = join(folder, 'sockets');
  writeFileSync(writable, 'w');
  writeFileSync(readable, 'r');
  mkdirSync(sockets);
  if (uid !== undefined) for (const path of [writable, sockets]) chownSync(path, uid, uid);
  const plan = (script: string): Plan => ({
    binary: '/usr/bin/sh',
    args: () => ['-c', script],
    readable: [readable],
    writable: [writable],
    socketFolder: sockets,
    devices: [],
    fileSizeMaxBytes: 1024 * 1024,
  });
  const inside = (script: string) => {
    const { file, args } = confine(plan(script), box);
    const ended = spawnSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
    return { code: ended.status, said: ended.stdout.trim(), wrong: ended.stderr };
  };

  it('finds what is its own, so the box stands', () => {
    const { code, said, wrong } = inside(
      'cat /warren/r0 /warren/w0 && echo more >> /warren/w0 && ls /warren/sockets',
    );
    assert.equal(code, 0, wrong);
    assert.equal(said, 'rw');
  });

  it('reads nothing of the user, and sees no other process', () => {
    const secret = join(folder, 'secret');
    writeFileSync(secret, 'a secret', { mode: 0o644 });
    assert.equal(inside(`cat ${secret} /etc/passwd /etc/shadow /root/.ssh/id_rsa /proc/1/environ`).said, '');
    assert.equal(
      inside(
        'ls -A /home /root /tmp /var /run /sys /etc 2>/dev/null | grep -v -e : -e "^$" -e "^ld.so.cache$"',
      ).said,
      '',
    );
    assert.equal(inside('ls -d /proc/[0-9]* 2>/dev/null | wc -l').said, '0');
  });

  it('writes nowhere but into its own disk, and no more than was allowed', () => {
    const tries = ['/x', '/usr/x', '/etc/x', '/dev/x', '/warren/x', '/warren/r0'];
    assert.equal(
      inside(tries.map((path) => `echo x 2>/dev/null > ${path} && echo ${path}`).join('; ')).said,
      '',
    );
    assert.equal(readFileSync(readable, 'utf8'), 'r');
    const grown = inside('head -c 2000000 /dev/zero > /warren/w0; wc -c < /warren/w0');
    assert.match(grown.said, /^1048576$/m, grown.wrong);
  });

  it('reaches no loopback of the host', async (t) => {
    const server = createServer((socket) => socket.end('reached'));
    const port = await listenOn(server);
    t.after(() => server.close());
    const reads = `cat < /dev/tcp/127.0.0.1/${port}`;
    const outside = await execute('bash', ['-c', reads]);
    assert.equal(outside.stdout, 'reached');
    const { file, args } = confine({ ...plan(''), binary: '/usr/bin/bash', args: () => ['-c', reads] }, box);
    // The server cannot answer meanwhile: where it is reached, this waits.
    const { status, stdout, stderr } = spawnSync(file, args, {
      encoding: 'utf8',
      timeout: 10_000,
      killSignal: 'SIGKILL',
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    assert.notEqual(status, 0);
    assert.equal(stdout, '');
    assert.match(stderr, /refused|unreachable/i);
  });

  it('has no capability, gets none, and makes no namespace that gives it some', () => {
    // There is no /proc in the box: what the kernel lets it do tells.
    for (const script of [
      'mount -t tmpfs none /dev',
      'chown 0:0 /warren/w0',
      'mknod /dev/null2 c 1 3',
      'kill -0 2',
      'chroot / true',
    ])
      assert.notEqual(inside(script).code, 0, script);
    assert.notEqual(inside('su -c true').code, 0);
    assert.equal(inside('id -u').said, String(uid ?? process.getuid?.()));
  });
});

describe('the seccomp filter of the VMM (VH 98)', () => {
  const canary = join(folder, 'spawned');
  /** QEMU starts a program to read a migration from: `exec:` is what a taken-over VMM would like to do. */
  const spawns = async (...filter: string[]) => {
    rmSync(canary, { force: true });
    const vmm = spawn(
      found.binary,
      [
        ...['-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'none', '-accel', 'tcg', '-S'],
        ...filter,
        ...['-incoming', `exec:touch ${canary}`],
      ],
      { stdio: 'ignore' },
    );
    const ended = once(vmm, 'exit');
    await until(() => existsSync(canary) || vmm.exitCode !== null || vmm.signalCode !== null);
    vmm.kill('SIGKILL');
    await ended;
    return existsSync(canary);
  };
  const filter = planQemu(spec, found).args((path) => path);
  const at = filter.indexOf('-sandbox');

  it('lets it start no program, which it would without', async () => {
    assert.equal(await spawns(), true, 'without the filter it does: so the test can fail');
    assert.equal(await spawns(...filter.slice(at, at + 2)), false);
  });
});

describe('a disk whose bytes claim to be another disk (VH 102)', () => {
  const secret = join(folder, 'shadow');
  writeFileSync(secret, 'root:secret\n'.padEnd(65_536, 'x'));
  const img = (...args: string[]) => execFileSync('qemu-img', args, { encoding: 'utf8' });
  /** What a machine would read through the plan's own description of its disk. */
  const readAs = (disk: MachineSpec['disk']) => {
    const args = planQemu({ ...spec, disk }, found).args((path) => path);
    const node = args
      .flatMap((arg, nr) =>
        arg === '-blockdev' ? [JSON.parse(args[nr + 1]!) as Record<string, unknown>] : [],
      )
      .find((each) => each['node-name'] === 'disk')!;
    const out = join(folder, 'out');
    rmSync(out, { force: true });
    img(
      'convert',
      '-O',
      'raw',
      `json:${JSON.stringify(node, (key, value) => (key === 'node-name' || key === 'discard' ? undefined : value))}`,
      out,
    );
    return readFileSync(out);
  };

  it('is read as the raw bytes that it is: the base of a machine', () => {
    const lying = join(folder, 'lying.raw');
    img('create', '-q', '-f', 'qcow2', '-b', secret, '-F', 'raw', lying);
    const bytes = readFileSync(lying);
    // Whoever guesses the format reads the secret: so the test can fail.
    const guessed = join(folder, 'guessed');
    img('convert', '-O', 'raw', lying, guessed);
    assert.match(readFileSync(guessed, 'latin1'), /^root:secret/);
    assert.match(img('info', lying), /backing file: .*shadow/);
    assert.ok(readAs({ kind: 'raw', file: lying }).subarray(0, bytes.length).equals(bytes));
  });

  it('is read over the base that the plan names, whatever its header names', () => {
    const base = join(folder, 'base.raw');
    writeFileSync(base, 'the right base\n'.padEnd(65_536, 'y'));
    const overlay = join(folder, 'overlay.qcow2');
    img('create', '-q', '-f', 'qcow2', '-b', secret, '-F', 'raw', overlay);
    const text = readAs({ kind: 'overlay', file: overlay, base }).toString('latin1');
    assert.match(text, /^the right base/);
    assert.doesNotMatch(text, /secret/);
  });

  it('whose data lie in a file outside finds none in the box', { skip: noBox }, () => {
    const data = join(folder, 'data');
    const external = join(folder, 'external.qcow2');
    const own = join(folder, 'no-sockets');
    mkdirSync(own);
    img('create', '-q', '-f', 'qcow2', '-o', `data_file=${data},data_file_raw=on`, external, '64K');
    for (const path of [external, data]) chmodSync(path, 0o666);
    assert.match(img('map', external), /Offset/, 'outside of the box it is found');
    const { file, args } = confine(
      {
        binary: '/usr/bin/qemu-img',
        args: (path) => ['map', path(external)],
        readable: [secret],
        writable: [external],
        socketFolder: own,
        devices: [],
      },
      box,
    );
    const inBox = spawnSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
    assert.notEqual(inBox.status, 0);
    assert.match(inBox.stderr, /data' ?: No such file|Could not open .*data/);
  });
});

describe('a template that was tampered with (VH 104)', () => {
  let nr = 0;
  const make = (change: (record: TemplateRecord, folder: string) => void = () => {}) => {
    const store = join(folder, `store-${nr++}`);
    const at = join(store, 'templates', 'abc');
    mkdirSync(at, { recursive: true });
    const files = templateFiles(at);
    for (const file of [files.memory, files.device, files.disk, files.overlay]) writeFileSync(file, 'bytes');
    const record = {
      kernel: { vmlinuz: `${store}/kernels/k/vmlinuz`, initramfs: `${store}/kernels/k/initramfs.cpio` },
      layers: [
        `${store}/images/i/layer-0.erofs`,
        [`${store}/images/i/layer-1.erofs`, `${store}/layers/t.tar`],
      ],
      sizes: { memory: 5, device: 5, disk: 5, overlay: 5 },
    } as unknown as TemplateRecord;
    change(record, at);
    writeFileSync(files.record, JSON.stringify(record));
    return at;
  };
  const refused = async (at: string, why: RegExp) =>
    await assert.rejects(openTemplate(at), { code: 'machine.template-damaged', message: why });

  it('and one that was not is used', async () => {
    assert.equal((await openTemplate(make())).id, 'abc');
  });

  for (const [what, change, why] of [
    ['a kernel elsewhere', (record) => (record.kernel.vmlinuz = '/tmp/evil'), /\/tmp\/evil/],
    ['a layer elsewhere', (record) => (record.layers = ['/etc/shadow']), /\/etc\/shadow/],
    [
      'a further part of a layer elsewhere',
      (record) => (record.layers = [[record.kernel.vmlinuz, '/etc/shadow']]),
      /shadow/,
    ],
    [
      'a path that leads out',
      (record) => (record.kernel.vmlinuz = record.kernel.vmlinuz.replace('/k/', '/../../')),
      /names/,
    ],
    ['another size', (_, at) => writeFileSync(templateFiles(at).memory, 'more bytes'), /should have 5/],
    [
      'a link for a file',
      (_, at) => {
        rmSync(templateFiles(at).disk);
        symlinkSync('/etc/hostname', templateFiles(at).disk);
      },
      /not a file/,
    ],
  ] as [string, (record: TemplateRecord, at: string) => unknown, RegExp][])
    it(`with ${what} is refused`, async () => await refused(make(change), why));

  it('by another user is refused', {
    skip: asRoot ? false : 'only root can give a folder away',
  }, async () => {
    await refused(
      make((_, at) => chownSync(at, 65_534, 65_534)),
      /not a folder of this user/,
    );
  });

  it('that is a link to a folder elsewhere is refused', async () => {
    const at = make();
    const link = join(folder, `store-link`, 'templates', 'abc');
    mkdirSync(join(folder, 'store-link', 'templates'), { recursive: true });
    symlinkSync(at, link);
    await refused(link, /not a folder/);
  });
});

describe('a KVM that is there and hangs every kernel (VH 100)', () => {
  const kvm = existsSync('/dev/kvm') ? false : 'there is no /dev/kvm here, which is another case';
  it('is found out by a boot of limited time, and emulation is chosen with the reason', {
    skip: kvm,
  }, async () => {
    // A VMM that makes its control socket and then does nothing, as QEMU does on a hanging KVM.
    const vmm = join(folder, 'hanging-vmm');
    writeFileSync(vmm, `#!${process.execPath}\nrequire('net').createServer().listen(process.argv[2]);`, {
      mode: 0o755,
    });
    const started: Plan[] = [];
    const driver: Driver = {
      name: 'hanging',
      features: { snapshot: true, pause: true },
      probe: async () => found,
      plan(of) {
        const plan: Plan = {
          binary: vmm,
          args: (path) => [path(of.sockets.qmp)],
          readable: [],
          writable: [],
          socketFolder: of.sockets.folder,
          devices: [],
        };
        started.push(plan);
        return plan;
      },
      control: async () => ({ closed: new Promise(() => {}), close() {} }) as unknown as Control,
    };
    const probe = {
      driver,
      found,
      vmlinuz: '/nowhere/vmlinuz',
      kernelVersion: '6.1',
      // Only this node is in the way of a box for the small program: the box is tried above.
      box: { confinement: { namespaces: false, ordinaryUser: true, limits: false } },
      cacheFile: join(folder, 'accelerator.json'),
    };
    const chosen = await chooseAccelerator(probe);
    assert.equal(chosen.kind, 'emulation');
    assert.match(describeAccelerator(chosen), /did not start within \d+ ms.*boundary is QEMU's emulator/);
    // Kept: the next start does not wait again.
    assert.deepEqual(await chooseAccelerator(probe), chosen);
    assert.equal(started.length, 1);
  });
});
