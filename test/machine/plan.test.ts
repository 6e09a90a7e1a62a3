import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { confine } from '../../src/machine/confine.ts';
import type { DriverFound, MachineSpec } from '../../src/machine/driver.ts';
import { judgeVersion, qemuDriver } from '../../src/machine/drivers/qemu/driver.ts';
import { planQemu } from '../../src/machine/drivers/qemu/plan.ts';
import { hardwareDigest } from '../../src/machine/template.ts';

const found: DriverFound = {
  kind: 'found',
  binary: 'qemu-system-x86_64',
  version: '10.0.2',
  readonlyMemory: true,
  stateByName: true,
};
const spec: MachineSpec = {
  id: 'abc123',
  cpus: 2,
  memoryMib: 512,
  accelerator: { kind: 'emulation', why: 'a test' },
  tscKhz: 2_500_000,
  kernel: { vmlinuz: '/store/a,b/vmlinuz', initramfs: '/store/a,b/initramfs.cpio' },
  layers: ['/store/images/x/layer-0.erofs'],
  disk: { kind: 'overlay', file: '/data/a,b/disk.qcow2', base: '/store/t/disk.raw' },
  diskGib: 16,
  memory: { file: '/store/t/memory.img', shared: false },
  restore: { device: '/store/t/device.state' },
  sockets: { folder: '/run/a,b', qmp: '/run/a,b/qmp', agent: '/run/a,b/agent', egress: '/run/a,b/egress' },
};
const stitched: MachineSpec = { ...spec, layers: ['/store/a', ['/store/b', '/store/t1', '/store/t2']] };
const whole = { namespaces: true, ordinaryUser: true, limits: true };

function optionsOf(args: string[], name: string): string[] {
  return args.flatMap((arg, at) => (arg === name ? [args[at + 1]!] : []));
}

describe('the plan of a machine under QEMU', () => {
  const plan = planQemu(spec, found);
  const args = plan.args((path) => path);

  it('has no network device and none by default', () => {
    assert.deepEqual(optionsOf(args, '-nic'), ['none']);
    assert.equal(args.includes('-netdev'), false);
    assert.ok(args.includes('-nodefaults') && args.includes('-no-user-config'));
  });

  it('turns on the seccomp filter in full', () => {
    assert.deepEqual(optionsOf(args, '-sandbox'), [
      'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
    ]);
  });

  it('opens the memory of a template read-only and maps it privately', () => {
    const memory = JSON.parse(optionsOf(args, '-object')[0]!);
    assert.deepEqual(memory, {
      'qom-type': 'memory-backend-file',
      id: 'memory',
      size: 512 * 1024 * 1024,
      'mem-path': '/store/t/memory.img',
      share: false,
      readonly: true,
      rom: 'off',
    });
    assert.equal(plan.writable.includes('/store/t/memory.img'), false);
  });

  it('names every disk with an explicit format and never lets a path be an option', () => {
    for (const text of optionsOf(args, '-blockdev'))
      assert.ok(['raw', 'qcow2'].includes(JSON.parse(text).driver));
    for (const text of optionsOf(args, '-chardev').filter((value) => value.startsWith('socket')))
      assert.match(text, /path=\/run\/a,,b\//);
  });

  it('lets the VMM write its own disk and sockets only', () => {
    assert.deepEqual(plan.writable, ['/data/a,b/disk.qcow2']);
    assert.ok(plan.readable.includes('/store/t/disk.raw'));
  });

  it('gives a layer of several files a disk for each, and tells the guest how many', () => {
    const shown = planQemu(stitched, found);
    const disks = optionsOf(
      shown.args((path) => path),
      '-device',
    ).map((text) => JSON.parse(text).serial);
    assert.deepEqual(disks.filter(Boolean), ['layer0', 'layer1', 'layer1.1', 'layer1.2', 'disk']);
    assert.match(
      optionsOf(
        shown.args((path) => path),
        '-append',
      )[0]!,
      / warren\.layers=2 warren\.parts=0,2$/,
    );
    assert.deepEqual(shown.readable.slice(2, 6), ['/store/a', '/store/b', '/store/t1', '/store/t2']);
    assert.doesNotMatch(optionsOf(args, '-append')[0]!, /warren\.parts/);
  });

  it('tells an emulated guest the frequency of its clock', () => {
    assert.match(optionsOf(args, '-append')[0]!, /tsc_early_khz=2500000/);
  });
});

describe('the box around a VMM', () => {
  const plan = planQemu(spec, found);

  it('shows it constant paths only, none of the user', () => {
    const { file, args } = confine(plan, { confinement: whole });
    assert.equal(file, 'prlimit');
    const inner = args.slice(args.indexOf('qemu-system-x86_64'));
    assert.equal(
      inner.some((arg) => arg.includes('/data/') || arg.includes('/store/')),
      false,
    );
  });

  it('shows it of a VMM elsewhere what belongs to that, by folders that an ordinary user may pass', () => {
    const { args } = confine({ ...plan, binary: '/opt/vmm/bin/qemu' }, { confinement: whole, uid: 61_200 });
    const shown = args.flatMap((arg, at) => (arg === '--ro-bind-try' ? [args[at + 1]!] : []));
    const own = ['bin/qemu', 'lib', 'lib64', 'share/qemu', 'share/seabios'].map((path) => `/opt/vmm/${path}`);
    assert.deepEqual(shown, ['/etc/ld.so.cache', ...own]);
    const folders = args.flatMap((arg, at) => (arg === '--perms' ? [args.slice(at + 1, at + 4)] : []));
    const made = ['/opt', '/opt/vmm', '/opt/vmm/bin', '/opt/vmm/share'];
    assert.deepEqual(
      folders,
      made.map((folder) => ['0755', '--dir', folder]),
    );
  });

  it('unshares everything and drops every capability for an ordinary user', () => {
    const { args } = confine(plan, { confinement: whole });
    assert.ok(args.includes('--unshare-all'));
    assert.equal(args[args.indexOf('--cap-drop') + 1], 'ALL');
    assert.equal(args.includes('--cap-add'), false);
    assert.equal(args.includes('--share-net'), false);
  });

  it('becomes an ordinary user when Warren is root, and keeps no way back', () => {
    const { args } = confine(plan, { confinement: whole, uid: 61_200 });
    const setpriv = args.slice(args.indexOf('setpriv'), args.indexOf('qemu-system-x86_64'));
    assert.deepEqual(setpriv, [
      'setpriv',
      '--reuid=61200',
      '--regid=61200',
      '--clear-groups',
      '--inh-caps=-all',
      '--bounding-set=-all',
      '--no-new-privs',
    ]);
    assert.ok(args.includes('--unshare-net'));
  });

  it('mounts nothing writable but the disk and the sockets', () => {
    const { args } = confine(plan, { confinement: whole });
    const writable = args.flatMap((arg, at) => (arg === '--bind' ? [args[at + 1]!] : []));
    assert.deepEqual(writable, ['/data/a,b/disk.qcow2', '/run/a,b']);
  });
});

describe('what a frozen memory depends on', () => {
  const shape = { cpus: 1, memoryMib: 512, diskGib: 16, accelerator: spec.accelerator };
  const digest = (change: object, layers: MachineSpec['layers'] = ['a']) =>
    hardwareDigest(qemuDriver(), found, { ...shape, ...change }, layers);

  it('is the same for the same machine, and another for other devices, sizes or processors', () => {
    assert.equal(digest({}), digest({}));
    const others = [
      digest({ cpus: 2 }),
      digest({ memoryMib: 1024 }),
      digest({ accelerator: { kind: 'kvm' } }),
      digest({}, ['a', 'b']),
      digest({}, [['a', 'b']]),
    ];
    assert.equal(new Set([digest({}), ...others]).size, 6);
    assert.equal(digest({}, ['c']), digest({}), 'the guest sees no names of files');
  });

  it('is another when the plan changes its CPU model', () => {
    const driver = {
      ...qemuDriver(),
      plan: (...[machine, probe]: Parameters<typeof planQemu>) => {
        const plan = planQemu(machine, probe);
        return {
          ...plan,
          args: (path: (host: string) => string) =>
            plan.args(path).map((arg) => (arg.startsWith('max') ? 'Nehalem' : arg)),
        };
      },
    };
    assert.notEqual(hardwareDigest(driver, found, shape, ['a']), digest({}));
  });
});

describe('which QEMU will do', () => {
  for (const [printed, kind] of [
    ['QEMU emulator version 7.2.15 (Debian 1:7.2+dfsg-7)', 'found'],
    ['QEMU emulator version 10.0.2', 'found'],
    ['QEMU emulator version 7.1.0', 'missing'],
    ['QEMU emulator version 6.2.0', 'missing'],
    ['something else', 'missing'],
  ] as const) {
    it(`${printed}: ${kind}`, () => assert.equal(judgeVersion('qemu', printed).kind, kind));
  }

  it('knows from which version on memory can be opened read-only', () => {
    const old = judgeVersion('qemu', 'QEMU emulator version 7.2.15');
    assert.equal(old.kind === 'found' && old.readonlyMemory, false);
  });
});
